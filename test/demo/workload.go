package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

const cashiers = 4 // connections that the shop is busy on

// A workload is the shop's business: customers, orders, stock and mistakes.
type workload struct {
	dsn        string
	rate       int // transactions a second at most
	committed  atomic.Int64
	rolledBack atomic.Int64
}

// run does business until ctx is done, which is no error.
func (w *workload) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second / time.Duration(w.rate))
	defer tick.Stop()
	g, ctx := errgroup.WithContext(ctx)
	for range cashiers {
		g.Go(func() error { return w.work(ctx, tick.C) })
	}
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (w *workload) work(ctx context.Context, tick <-chan time.Time) error {
	// A transaction that has begun is finished, whatever the outcome.
	calm := context.WithoutCancel(ctx)
	conn, err := pgx.Connect(calm, w.dsn)
	if err != nil {
		return fmt.Errorf("connect to the shop: %w", err)
	}
	defer conn.Close(calm)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		}
		err := pgx.BeginFunc(calm, conn, func(tx pgx.Tx) error { return pick()(calm, tx) })
		switch {
		case err == nil:
			w.committed.Add(1)
		case harmless(err):
			w.rolledBack.Add(1)
		default:
			return fmt.Errorf("do business in the shop: %w", err)
		}
	}
}

// errRegret rolls a transaction back.
var errRegret = errors.New("the customer changed their mind")

// harmless says that a transaction failed as they do in every busy shop:
// rolled back by will, a deadlock, a new key that was taken, an order that
// somebody else has just removed.
func harmless(err error) bool {
	if errors.Is(err, errRegret) {
		return true
	}
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return false
	}
	const deadlock, taken, missing = "40P01", "23505", "23503"
	return e.Code == deadlock || e.Code == taken || e.Code == missing
}

type business func(context.Context, pgx.Tx) error

// mix says what happens how often, in per cent.
var mix = []struct {
	share int
	do    business
}{
	{42, placeOrder},
	{30, advanceOrder},
	{8, editCustomer},
	{6, addCustomer},
	{5, removeOrder},
	{4, changePrice},
	{2, moveItem},
	{1, changeSKU},
	{2, regret},
}

func pick() business {
	n := rand.IntN(100)
	for _, m := range mix {
		if n -= m.share; n < 0 {
			return m.do
		}
	}
	return placeOrder
}

func exec(ctx context.Context, tx pgx.Tx, statement string, args ...any) error {
	_, err := tx.Exec(ctx, statement, args...)
	return err
}

func anyCustomer() int  { return 1 + rand.IntN(customers) }
func anyOrder() int     { return 1 + rand.IntN(orders) }
func anySKU() string    { return fmt.Sprintf("P%06d", 1+rand.IntN(products)) }
func anyText() string   { return texts[rand.IntN(len(texts))] }
func anyAmount() string { return fmt.Sprintf("%d.%02d", 1+rand.IntN(300), rand.IntN(100)) }

var texts = []string{"", "Straße 5", "お願いします", "tab\tand\nline", `back\slash "quoted"`, "🦊", "NULL", "\\N", "it's"}

// placeOrder touches one key twice and three tables.
func placeOrder(ctx context.Context, tx pgx.Tx) error {
	var id int64
	err := tx.QueryRow(ctx, "INSERT INTO orders (customer_id, note) VALUES ($1, nullif($2, '')) RETURNING id",
		anyCustomer(), anyText()).Scan(&id)
	if err != nil {
		return err
	}
	if err := exec(ctx, tx, `INSERT INTO order_items (order_id, line, sku, quantity, price)
		SELECT $1, row_number() OVER (), sku, $3, price
		FROM (SELECT sku, price FROM products WHERE sku >= $2 ORDER BY sku LIMIT $4) p`,
		id, anySKU(), 1+rand.IntN(4), 1+rand.IntN(4)); err != nil {
		return err
	}
	if err := exec(ctx, tx, `UPDATE products p SET stock = stock - i.quantity
		FROM order_items i WHERE i.order_id = $1 AND i.sku = p.sku`, id); err != nil {
		return err
	}
	return exec(ctx, tx, `UPDATE orders SET total = coalesce((SELECT sum(quantity * price) FROM order_items WHERE order_id = $1), 0)
		WHERE id = $1`, id)
}

// advanceOrder prefers the newest, as shops do.
func advanceOrder(ctx context.Context, tx pgx.Tx) error {
	return exec(ctx, tx, `UPDATE orders SET
			status = CASE status WHEN 'new' THEN 'paid' WHEN 'paid' THEN 'shipped' ELSE 'delivered' END::order_status,
			delivered_on = CASE WHEN status = 'shipped' THEN current_date ELSE delivered_on END
		WHERE id = (SELECT id FROM orders ORDER BY id DESC OFFSET $1 LIMIT 1)`, rand.IntN(500))
}

func editCustomer(ctx context.Context, tx pgx.Tx) error {
	return exec(ctx, tx, `UPDATE customers SET
			newsletter = NOT newsletter, interests = array_append(interests[1:3], $2),
			profile = profile || jsonb_build_object('seen', now(), 'note', $2::text)
		WHERE id = $1`, anyCustomer(), anyText())
}

func addCustomer(ctx context.Context, tx pgx.Tx) error {
	return exec(ctx, tx, "INSERT INTO customers (name, city) VALUES ($1, nullif($2, ''))", "Zoë "+anyText(), anyText())
}

// removeOrder takes its items along.
func removeOrder(ctx context.Context, tx pgx.Tx) error {
	return exec(ctx, tx, "DELETE FROM orders WHERE id = (SELECT min(id) FROM orders WHERE id >= $1)", anyOrder())
}

// changePrice leaves the description as it is: where that is stored out of
// line, the log does not have it.
func changePrice(ctx context.Context, tx pgx.Tx) error {
	return exec(ctx, tx, `UPDATE products SET price = $2::text::numeric, changed_at = now()
		WHERE sku = (SELECT min(sku) FROM products WHERE sku >= $1)`, anySKU(), anyAmount())
}

// moveItem changes a key of two columns.
func moveItem(ctx context.Context, tx pgx.Tx) error {
	return exec(ctx, tx, `UPDATE order_items SET order_id = t.id, line = 50
		FROM (SELECT min(id) AS id FROM orders WHERE id >= $2) t
		WHERE line = 1 AND order_id = (SELECT min(id) FROM orders WHERE id >= $1)`, anyOrder(), anyOrder())
}

// changeSKU changes a key, and with it the items that name it.
func changeSKU(ctx context.Context, tx pgx.Tx) error {
	return exec(ctx, tx, "UPDATE products SET sku = $2 WHERE sku = (SELECT min(sku) FROM products WHERE sku >= $1)",
		anySKU(), fmt.Sprintf("P%06dé", rand.IntN(1_000_000)))
}

// regret does something and takes it back.
func regret(ctx context.Context, tx pgx.Tx) error {
	if err := placeOrder(ctx, tx); err != nil {
		return err
	}
	return errRegret
}

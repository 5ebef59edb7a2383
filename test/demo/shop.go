package main

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
)

//go:embed shop.sql
var shopSQL string

// Sizes of the shop at first; the orders have two items on average.
const (
	customers = 20_000
	products  = 2_000
	orders    = 60_000
)

// openShop creates the tables and fills them.
func openShop(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect to the shop: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, fmt.Sprintf("SET demo.customers = %d; SET demo.products = %d; SET demo.orders = %d; %s",
		customers, products, orders, shopSQL), pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return fmt.Errorf("fill the shop: %w", err)
	}
	return nil
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/source"
)

// A publication is what a publication says now.
type publication struct {
	name                             string
	exists                           bool
	ours                             bool // carries our mark, and our role may alter it
	allTables                        bool
	insert, update, delete, truncate bool
	viaRoot                          bool
	listed                           []uint32             // tables that FOR TABLE names
	covered                          map[uint32]published // tables as whom changes arrive
}

// A published table is how a publication covers it.
type published struct {
	columns []string // nil: all that the log holds
	filter  string   // of rows, an expression; "" for all
}

// ownerMark is the comment by which a publication is known as this pipeline's.
func (s *Source) ownerMark() string { return "millrace: " + s.cfg.Name }

// readPublication reads the configured publication.
func (s *Source) readPublication(ctx context.Context, q querier) (*publication, error) {
	p := &publication{name: s.cfg.Publication}
	err := q.QueryRow(ctx, `
		SELECT coalesce(obj_description(oid, 'pg_publication') = $2 AND pg_has_role(pubowner, 'USAGE'), false),
		       puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot,
		       ARRAY(SELECT r.prrelid FROM pg_publication_rel r WHERE r.prpubid = p.oid)
		FROM pg_publication p WHERE pubname = $1`, p.name, s.ownerMark()).
		Scan(&p.ours, &p.allTables, &p.insert, &p.update, &p.delete, &p.truncate, &p.viaRoot, &p.listed)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read publication %q: %w", p.name, classify(err))
	}
	p.exists = true
	p.covered, err = publicationTables(ctx, q, p.name)
	return p, err
}

const publicationOptions = "publish = 'insert, update, delete, truncate', publish_via_partition_root = true"

// inStep reports whether the publication has the options of ours.
func (p *publication) inStep() bool {
	return p.insert && p.update && p.delete && p.truncate && p.viaRoot
}

func (p *publication) createStatement(tables []*table) string {
	if len(tables) == 0 {
		return fmt.Sprintf("CREATE PUBLICATION %s WITH (%s)", quote(p.name), publicationOptions)
	}
	return fmt.Sprintf("CREATE PUBLICATION %s FOR TABLE %s WITH (%s)", quote(p.name), onlyTables(tables), publicationOptions)
}

func (p *publication) addStatement(tables []*table) string {
	return fmt.Sprintf("ALTER PUBLICATION %s ADD TABLE %s", quote(p.name), onlyTables(tables))
}

// onlyTables lists tables without those that inherit from them. Partitions
// come with their root nevertheless.
func onlyTables(tables []*table) string {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = "ONLY " + quote(t.Schema, t.Name)
	}
	return strings.Join(names, ", ")
}

// optionsNote says which operations a publication that is not ours leaves out.
func (p *publication) optionsNote() string {
	if !p.exists || p.ours {
		return ""
	}
	var missing []string
	for _, option := range []struct {
		on   bool
		name string
	}{{p.insert, "INSERT"}, {p.update, "UPDATE"}, {p.delete, "DELETE"}, {p.truncate, "TRUNCATE"}} {
		if !option.on {
			missing = append(missing, option.name)
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("Publication %q leaves out %s.", p.name, strings.Join(missing, ", "))
}

// notes says what the publication keeps from a table's readers.
func (p *publication) notes(t *table) (notes []string) {
	if note := p.optionsNote(); note != "" {
		notes = append(notes, note)
	}
	if t.filter != "" {
		notes = append(notes, fmt.Sprintf("Publication %q leaves out rows but those with %s.", p.name, t.filter))
	}
	return notes
}

// publicationTables returns the tables that a publication covers, by
// pg_class.oid. A partitioned table that is published as itself stands for its
// partitions, otherwise they stand for it.
func publicationTables(ctx context.Context, q querier, name string) (map[uint32]published, error) {
	// Column lists and row filters are there since Postgres 15. Before 18 the
	// lists have generated columns, which are never published.
	rows, err := q.Query(ctx, `
		SELECT c.oid, ARRAY(
			SELECT name FROM jsonb_array_elements_text(to_jsonb(p) -> 'attnames') name
			WHERE current_setting('server_version_num')::int >= 180000 OR NOT EXISTS (
				SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = name AND a.attgenerated <> '')),
		       coalesce(to_jsonb(p) ->> 'rowfilter', '')
		FROM pg_publication_tables p
		JOIN pg_namespace n ON n.nspname = p.schemaname
		JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
		WHERE p.pubname = $1`, name)
	if err != nil {
		return nil, fmt.Errorf("read the tables of publication %q: %w", name, classify(err))
	}
	covered := map[uint32]published{}
	var oid uint32
	var p published
	_, err = pgx.ForEachRow(rows, []any{&oid, &p.columns, &p.filter}, func() error {
		if len(p.columns) == 0 {
			p.columns = nil
		}
		covered[oid] = p
		p.columns = nil
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the tables of publication %q: %w", name, classify(err))
	}
	return covered, nil
}

const (
	publishTimeout  = 5 * time.Second // that a statement waits for a lock
	publishAttempts = 12              // that find tables locked
	publishPause    = time.Second     // between two of them
)

// ensurePublication creates the publication for the tables that have no
// Problem, or brings it into step with them if it is this pipeline's. One that
// is not is left alone and must have them.
//
// The locks that it takes keep DDL and VACUUM away from the tables, not reads
// and writes, and are given up when others hold them for longer than 5 s.
func (s *Source) ensurePublication(ctx context.Context, conn *pgx.Conn, tables []*source.Table) error {
	for attempt := 1; ; attempt++ {
		err := s.publish(ctx, conn, tables)
		if err == nil {
			return nil
		}
		err = fmt.Errorf("publication %q: %w", s.cfg.Publication, classify(err))
		if !hasCode(err, "55P03", "40P01") { // lock not available, deadlock
			return err
		}
		if attempt == publishAttempts {
			return source.WithHint(err, "a lock on one of the tables is held by DDL, VACUUM or LOCK TABLE: see pg_locks, and start again when it is gone")
		}
		if attempt == 1 {
			s.log.Info("waiting for a lock to publish tables", "publication", s.cfg.Publication, "cause", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(publishPause):
		}
	}
}

// checkPublished refuses to follow tables that the publication does not have:
// what happened to them since somebody took them out is not in the log for us.
func (s *Source) checkPublished(ctx context.Context, conn *pgx.Conn, streaming []*source.Table) error {
	if len(streaming) == 0 {
		return nil
	}
	p, err := s.readPublication(ctx, conn)
	if err != nil {
		return err
	}
	if !p.exists {
		return source.WithHint(fmt.Errorf("publication %q is gone, and with it the changes since somebody dropped it", p.name),
			"if source.publication was changed, set it back; otherwise "+startOver)
	}
	for _, t := range streaming {
		if _, ok := p.covered[uint32(t.Handle)]; !ok {
			return source.WithHint(fmt.Errorf("table %s is followed, but somebody took it out of publication %q: its changes since then are missing", t, p.name),
				"copy it again with `millrace resync "+t.String()+"`")
		}
	}
	return nil
}

// publish is one attempt at ensurePublication, in one transaction.
func (s *Source) publish(ctx context.Context, conn *pgx.Conn, tables []*source.Table) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		p, err := s.readPublication(ctx, tx)
		if err != nil {
			return err
		}
		if p.exists && (!p.ours || p.allTables) {
			return p.covers(tables)
		}
		_, err = tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", publishTimeout.Milliseconds()))
		if err != nil {
			return err
		}
		add, drop := p.difference(tables)
		added, err := s.lockUsable(ctx, tx, add)
		if err != nil {
			return err
		}
		statements, err := s.statements(ctx, tx, p, added, drop)
		if err != nil || len(statements) == 0 {
			return err
		}
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		s.log.Info("publication brought into step", "publication", p.name, "added", len(add), "dropped", len(drop))
		return nil
	})
}

// covers returns an error that names tables which the publication lacks.
func (p *publication) covers(tables []*source.Table) error {
	for _, t := range tables {
		if _, ok := p.covered[uint32(t.Handle)]; !ok && t.Problem == nil {
			return source.WithHint(fmt.Errorf("it is not of this pipeline and does not have %s", t),
				fmt.Sprintf("ALTER PUBLICATION %s ADD TABLE ONLY %s", quote(p.name), quote(t.Schema, t.Name)))
		}
	}
	return nil
}

// difference returns the tables to add and those to drop.
func (p *publication) difference(tables []*source.Table) (add []*source.Table, drop []uint32) {
	drop = slices.Clone(p.listed)
	for _, t := range tables {
		if t.Problem != nil {
			continue
		}
		if i := slices.Index(drop, uint32(t.Handle)); i >= 0 {
			drop = slices.Delete(drop, i, i+1)
			continue
		}
		add = append(add, t)
	}
	return add, drop
}

// lockUsable keeps DDL away from tables until the transaction ends, and then
// reads them again: what Tables saw may have changed, and publishing a table
// without a replica identity makes its application's UPDATEs fail.
func (s *Source) lockUsable(ctx context.Context, tx pgx.Tx, tables []*source.Table) ([]*table, error) {
	if len(tables) == 0 {
		return nil, nil
	}
	oids, names := make([]uint32, len(tables)), make([]string, len(tables))
	for i, t := range tables {
		oids[i], names[i] = uint32(t.Handle), quote(t.Schema, t.Name)
	}
	// Without ONLY: partitions are to be locked too.
	if _, err := tx.Exec(ctx, "LOCK TABLE "+strings.Join(names, ", ")+" IN SHARE UPDATE EXCLUSIVE MODE"); err != nil {
		return nil, err
	}
	c, err := s.readThese(ctx, tx, oids)
	if err != nil {
		return nil, err
	}
	for i, t := range tables {
		if i >= len(c.tables) || c.tables[i].oid != oids[i] || c.tables[i].String() != t.String() {
			return nil, source.WithHint(fmt.Errorf("table %s was dropped or renamed meanwhile", t), "start again")
		}
		if problem := c.tables[i].Problem; problem != nil {
			return nil, fmt.Errorf("table %s has changed meanwhile: %w", t, problem)
		}
	}
	return c.tables, nil
}

// statements returns what brings the publication into step.
func (s *Source) statements(ctx context.Context, tx pgx.Tx, p *publication, add []*table, drop []uint32) (list []string, err error) {
	if !p.exists {
		return []string{
			p.createStatement(add),
			fmt.Sprintf("COMMENT ON PUBLICATION %s IS %s", quote(p.name), literal(s.ownerMark())),
		}, nil
	}
	if !p.inStep() {
		list = append(list, fmt.Sprintf("ALTER PUBLICATION %s SET (%s)", quote(p.name), publicationOptions))
	}
	if len(drop) > 0 {
		rows, err := tx.Query(ctx, "SELECT format('ONLY %I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY($1)", drop)
		if err != nil {
			return nil, err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		list = append(list, fmt.Sprintf("ALTER PUBLICATION %s DROP TABLE %s", quote(p.name), strings.Join(names, ", ")))
	}
	if len(add) > 0 {
		list = append(list, p.addStatement(add))
	}
	return list, nil
}

package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// A querier is a connection or a transaction on it.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// A relation is a row of pg_class, with what our role may do with it.
type relation struct {
	oid          uint32
	schema, name string
	kind         string // relkind
	persistence  string // relpersistence
	identity     string // relreplident
	parent       uint32 // of a partition, else 0
	node         uint32 // file node, 0 where there is no storage
	pages        int32
	tuples       float32 // -1: never counted
	comment      string
	owner        string
	owned        bool // by our role, or one that it is a member of
	usage        bool // of its schema
	selectable   bool
	guarded      bool // row level security hides rows from our role
}

func (r *relation) String() string { return r.schema + "." + r.name }
func (r *relation) quoted() string { return quote(r.schema, r.name) }

// An attribute is a row of pg_attribute.
type attribute struct {
	num       int16
	name      string
	typ       uint32
	mod       int32
	dims      int
	notNull   bool
	generated bool
	native    string
	comment   string
}

// An index is a unique index.
type index struct {
	name       string
	constraint string   // the primary key or unique constraint that it serves, or ""
	columns    []string // of the key, without INCLUDE; "" for an expression
	primary    bool
	identity   bool // REPLICA IDENTITY USING INDEX names it
	immediate  bool // not deferrable
	partial    bool
	notNull    bool // no key column can be NULL
}

// usable reports whether the index tells rows apart at every moment, which is
// what REPLICA IDENTITY USING INDEX asks for.
func (i *index) usable() bool {
	if !i.immediate || i.partial || !i.notNull {
		return false
	}
	for _, column := range i.columns {
		if column == "" {
			return false
		}
	}
	return len(i.columns) > 0
}

// readRelations reads whatever a pattern could select. Where oids is not nil
// it reads only these.
func readRelations(ctx context.Context, q querier, oids []uint32) ([]*relation, error) {
	rows, err := q.Query(ctx, `
		SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relpersistence::text, c.relreplident::text,
		       coalesce(i.inhparent, 0), coalesce(pg_relation_filenode(c.oid), 0), c.relpages, c.reltuples,
		       coalesce(d.description, ''), pg_get_userbyid(c.relowner),
		       coalesce(pg_has_role(c.relowner, 'USAGE'), false),
		       coalesce(has_schema_privilege(n.oid, 'USAGE'), false),
		       coalesce(has_table_privilege(c.oid, 'SELECT'), false),
		       row_security_active(c.oid)
		FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
		LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
		  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
		  AND ($1::oid[] IS NULL OR c.oid = ANY($1))
		ORDER BY n.nspname, c.relname`, oids)
	if err != nil {
		return nil, fmt.Errorf("read tables: %w", classify(err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*relation, error) {
		var r relation
		return &r, row.Scan(&r.oid, &r.schema, &r.name, &r.kind, &r.persistence, &r.identity,
			&r.parent, &r.node, &r.pages, &r.tuples, &r.comment, &r.owner,
			&r.owned, &r.usage, &r.selectable, &r.guarded)
	})
	if err != nil {
		return nil, fmt.Errorf("read tables: %w", classify(err))
	}
	return list, nil
}

// tree is a table expression of the tables $1 and, where they are partitioned,
// all their partitions.
const tree = `WITH RECURSIVE tree(oid) AS (
		SELECT unnest($1::oid[])
		UNION
		SELECT i.inhrelid FROM tree
		JOIN pg_class p ON p.oid = tree.oid AND p.relkind = 'p'
		JOIN pg_inherits i ON i.inhparent = p.oid
	) `

// readTree returns some tables with all their partitions.
func readTree(ctx context.Context, q querier, oids []uint32) ([]uint32, error) {
	rows, err := q.Query(ctx, tree+"SELECT oid FROM tree", oids)
	if err != nil {
		return nil, fmt.Errorf("read partitions: %w", classify(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[uint32])
	if err != nil {
		return nil, fmt.Errorf("read partitions: %w", classify(err))
	}
	return list, nil
}

// unproven is true for a column whose NOT NULL constraint old rows may break
// (NOT VALID, since Postgres 18).
const unproven = `EXISTS (SELECT FROM pg_constraint v WHERE v.conrelid = a.attrelid
	AND v.contype = 'n' AND NOT v.convalidated AND a.attnum = ANY(v.conkey))`

// readAttributes reads the columns of some tables, in order.
func readAttributes(ctx context.Context, q querier, oids []uint32) (map[uint32][]attribute, error) {
	rows, err := q.Query(ctx, `
		SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attndims,
		       a.attnotnull AND NOT `+unproven+`, a.attgenerated <> '',
		       format_type(a.atttypid, a.atttypmod), coalesce(d.description, '')
		FROM pg_attribute a
		LEFT JOIN pg_description d ON d.objoid = a.attrelid AND d.classoid = 'pg_class'::regclass AND d.objsubid = a.attnum
		WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY a.attrelid, a.attnum`, oids)
	if err != nil {
		return nil, fmt.Errorf("read columns: %w", classify(err))
	}
	attributes := make(map[uint32][]attribute, len(oids))
	var oid uint32
	var a attribute
	_, err = pgx.ForEachRow(rows, []any{
		&oid, &a.num, &a.name, &a.typ, &a.mod, &a.dims,
		&a.notNull, &a.generated, &a.native, &a.comment,
	}, func() error {
		attributes[oid] = append(attributes[oid], a)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read columns: %w", classify(err))
	}
	return attributes, nil
}

// readIndexes reads the valid unique indexes of some tables, oldest first.
func readIndexes(ctx context.Context, q querier, oids []uint32) (map[uint32][]index, error) {
	rows, err := q.Query(ctx, `
		SELECT i.indrelid, x.relname, coalesce(con.conname, ''), i.indisprimary, i.indisreplident,
		       i.indimmediate, i.indpred IS NOT NULL, k.names, k.notnull
		FROM pg_index i
		JOIN pg_class x ON x.oid = i.indexrelid
		LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid AND con.contype IN ('p', 'u')
		CROSS JOIN LATERAL (
			SELECT array_agg(coalesce(a.attname::text, '') ORDER BY k) AS names,
			       coalesce(bool_and(a.attnotnull AND NOT `+unproven+`), false) AS notnull
			FROM generate_series(0, i.indnkeyatts - 1) k
			LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k]
		) k
		WHERE i.indrelid = ANY($1) AND i.indisunique AND i.indisvalid
		ORDER BY i.indrelid, i.indexrelid`, oids)
	if err != nil {
		return nil, fmt.Errorf("read indexes: %w", classify(err))
	}
	indexes := make(map[uint32][]index, len(oids))
	var oid uint32
	var i index
	_, err = pgx.ForEachRow(rows, []any{
		&oid, &i.name, &i.constraint, &i.primary, &i.identity,
		&i.immediate, &i.partial, &i.columns, &i.notNull,
	}, func() error {
		indexes[oid] = append(indexes[oid], i)
		i.columns = nil
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read indexes: %w", classify(err))
	}
	return indexes, nil
}

// readTypes reads the types of the columns, with their elements and bases.
func readTypes(ctx context.Context, q querier, attributes map[uint32][]attribute) (map[uint32]*pgType, error) {
	seen := map[uint32]bool{}
	var oids []uint32
	for _, list := range attributes {
		for i := range list {
			if oid := list[i].typ; !seen[oid] {
				seen[oid] = true
				oids = append(oids, oid)
			}
		}
	}
	rows, err := q.Query(ctx, `
		WITH RECURSIVE used(oid) AS (
			SELECT unnest($1::oid[])
			UNION
			SELECT r.oid FROM used JOIN pg_type t ON t.oid = used.oid
			CROSS JOIN LATERAL (VALUES (t.typelem), (t.typbasetype)) r(oid) WHERE r.oid <> 0
		)
		SELECT t.oid, t.typname, n.nspname, ascii(t.typtype::text), ascii(t.typdelim::text), t.typbasetype, t.typtypmod, t.typndims,
		       CASE WHEN t.typsubscript::oid = 'array_subscript_handler'::regproc THEN t.typelem ELSE 0 END
		FROM used JOIN pg_type t ON t.oid = used.oid JOIN pg_namespace n ON n.oid = t.typnamespace`, oids)
	if err != nil {
		return nil, fmt.Errorf("read types: %w", classify(err))
	}
	types := map[uint32]*pgType{}
	bases, elems := map[*pgType]uint32{}, map[*pgType]uint32{}
	var t pgType
	var kind, delim int32
	var base, elem uint32
	_, err = pgx.ForEachRow(rows, []any{&t.OID, &t.Name, &t.Schema, &kind, &delim, &base, &t.BaseMod, &t.BaseDims, &elem}, func() error {
		u := t
		u.Kind, u.Delim = byte(kind), byte(delim)
		types[u.OID], bases[&u], elems[&u] = &u, base, elem
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read types: %w", classify(err))
	}
	for _, t := range types {
		t.Base, t.Elem = types[bases[t]], types[elems[t]]
	}
	return types, nil
}

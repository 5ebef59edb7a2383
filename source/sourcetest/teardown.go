package sourcetest

var teardownTests = map[string]func(*bench){
	"leaves nothing":         teardownLeavesNothing,
	"of nothing":             teardownOfNothing,
	"of a copy":              teardownAfterCopy,
	"lets another run begin": teardownThenBegin,
}

func (b *bench) tearDown() {
	b.Helper()
	b.must(b.src.Teardown(b.ctx))
	if left := b.base.Leftovers(b.T); len(left) > 0 {
		b.Errorf("teardown left %q", left)
	}
}

func teardownLeavesNothing(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	b.exec("INSERT INTO t VALUES (1, 1, 'v')")
	b.follow(from, tables)
	b.tearDown() // right after the stream
	b.tearDown()
	b.open()
	b.tearDown()
}

func teardownOfNothing(b *bench) {
	b.open()
	b.tearDown()
}

func teardownAfterCopy(b *bench) {
	b.createTable("t")
	b.fill(b.sql, "t", 0, 100, "v")
	b.open()
	tables := list(b.tables())
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	b.copy(snap, tables)
	b.must(snap.Close())
	b.tearDown()
}

func teardownThenBegin(b *bench) {
	b.createTable("t")
	b.start()
	b.tearDown()
	tables, from := b.start()
	b.exec("INSERT INTO t VALUES (1, 1, 'v')")
	if rows := rowsOf(b.follow(from, tables), "t"); len(rows) != 1 {
		b.Errorf("%d rows instead of one", len(rows))
	}
}

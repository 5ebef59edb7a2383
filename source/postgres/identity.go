package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

// anotherServer is what can be done when the log does not go on from the saved
// position.
const anotherServer = "point source.dsn at the server that it was, or " + startOver

// Identify implements source.Source. A log is a system identifier and a
// timeline; a promoted standby goes on under a new timeline, and proves by its
// history that it has everything up to the saved position.
func (s *Source) Identify(ctx context.Context, saved *position.Saved) (id position.Identity, continued bool, err error) {
	repl, err := s.connectReplication(ctx, 4096)
	if err != nil {
		return position.Identity{}, false, err
	}
	defer repl.Close(context.WithoutCancel(ctx))
	system, err := pglogrepl.IdentifySystem(ctx, repl)
	if err != nil {
		return position.Identity{}, false, fmt.Errorf("identify the server: %w", classify(err))
	}
	id = position.Identity{Server: system.SystemID, Log: strconv.Itoa(int(system.Timeline))}
	if saved == nil {
		return id, false, nil
	}
	reached := pglogrepl.LSN(saved.Position.Order)
	switch {
	case id.Server != saved.Identity.Server:
		return id, false, source.WithHint(fmt.Errorf("this is another server: its system identifier is %s, that of the saved position %s", id.Server, saved.Identity.Server), anotherServer)
	case id.Log == saved.Identity.Log:
		return id, true, s.notRestored(ctx, repl, system, reached)
	}
	was, err := strconv.Atoi(saved.Identity.Log)
	if err != nil {
		return id, false, fmt.Errorf("the saved timeline %q is not a number", saved.Identity.Log)
	}
	if was > int(system.Timeline) {
		return id, false, source.WithHint(fmt.Errorf("the server is on timeline %d, the saved position on %d, which is later", system.Timeline, was), anotherServer)
	}
	history, err := pglogrepl.TimelineHistory(ctx, repl, system.Timeline)
	if err != nil {
		return id, false, fmt.Errorf("read the history of timeline %d: %w", system.Timeline, classify(err))
	}
	return id, false, checkFork(history.Content, was, int(system.Timeline), reached)
}

// notRestored refuses a log that ends before the saved position although it
// is of the same timeline: the server was put back to an older state.
func (s *Source) notRestored(ctx context.Context, repl *pgconn.PgConn, system pglogrepl.IdentifySystemResult, reached pglogrepl.LSN) error {
	if system.XLogPos >= reached {
		return nil
	}
	results, err := repl.Exec(ctx, "SELECT pg_is_in_recovery()").ReadAll()
	if err != nil {
		return fmt.Errorf("ask whether the server is a standby: %w", classify(err))
	}
	if len(results) == 1 && len(results[0].Rows) == 1 && string(results[0].Rows[0][0]) == "t" {
		return nil // it lags, and will get there
	}
	return source.WithHint(fmt.Errorf("the server's log ends at %s, before the saved position %s: it was restored to an earlier state", system.XLogPos, reached), anotherServer)
}

// checkFork proves from a timeline's history that the log up to reached on
// timeline was is a part of timeline now.
func checkFork(history []byte, was, now int, reached pglogrepl.LSN) error {
	ended, err := forkOf(history, was)
	if err != nil {
		return fmt.Errorf("history of timeline %d: %w", now, err)
	}
	switch {
	case ended == 0:
		return source.WithHint(fmt.Errorf("the server's timeline %d does not come from timeline %d of the saved position", now, was), anotherServer)
	case reached > ended:
		return source.WithHint(fmt.Errorf("the server left timeline %d at %s, before the saved position %s: what was written in between is not in its log", was, ended, reached), anotherServer)
	}
	return nil
}

// forkOf returns where a timeline was left, 0 when the history does not have
// it. A line holds the timeline, where it was left, and the reason (manual,
// "Continuous Archiving", "Timelines").
func forkOf(history []byte, timeline int) (pglogrepl.LSN, error) {
	for line := range strings.Lines(string(history)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 2 {
			return 0, errors.New("a line has no position")
		}
		number, err := strconv.Atoi(fields[0])
		if err != nil {
			return 0, fmt.Errorf("%q is not a timeline", fields[0])
		}
		if number == timeline {
			lsn, err := pglogrepl.ParseLSN(fields[1])
			if err != nil {
				return 0, fmt.Errorf("%q is not a position", fields[1])
			}
			return lsn, nil
		}
	}
	return 0, nil
}

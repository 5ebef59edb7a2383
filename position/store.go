package position

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// formatVersion is the layout of the file. A file of another version is refused.
const formatVersion = 1

// The buckets of the file.
var (
	bucketMeta   = []byte("meta")   // format version, pipeline, Saved
	bucketTables = []byte("tables") // source table → Table
	bucketCopies = []byte("copies") // source table → bucket of a copy's progress
	bucketSource = []byte("source") // what the source remembers
)

var (
	keyVersion  = []byte("version")
	keyPipeline = []byte("pipeline")
	keySaved    = []byte("saved")
	keyPlan     = []byte("plan")
)

// ErrLocked is matched by Open's error when another process has the file.
var ErrLocked = errors.New("the state file is in use")

// State is how far a table has come.
type State string

// The states that are kept. What is between them is not worth a write.
const (
	Waiting State = "waiting" // chosen, its copy not finished
	Copied  State = "copied"  // its copy is complete; the log does the rest
	Failed  State = "failed"  // stopped; only a new copy helps
	Resync  State = "resync"  // to be emptied and copied again
)

// A Table is what is remembered of one source table.
type Table struct {
	State  State  `json:"state"`
	Target string `json:"target"`
	// UUID is ClickHouse's id of the target table, to notice another one in
	// its place.
	UUID string `json:"uuid,omitempty"`
	// Handle is the source's own reference to the table, to notice another one
	// under its name; 0 where it has none.
	Handle uint64 `json:"handle,omitempty"`
	// Columns holds the source's ids of the columns that are copied, where it
	// has some.
	Columns map[string]int `json:"columns,omitempty"`

	Rows  int64  `json:"rows,omitempty"`  // copied by the snapshot
	Error string `json:"error,omitempty"` // of a failed table
}

// A Store is one pipeline's state file. Its methods may be called from any
// goroutine; what they wrote is synced to disk when they return.
type Store struct {
	db *bolt.DB
}

// Open opens the state file of a pipeline, or makes one. It waits a second for
// another process to let go of the file.
func Open(path, pipeline string) (*Store, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("open state file %s: %w by another process: only one millrace may run on it", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("open state file %s: %w", path, err)
	}
	if err := db.Update(func(tx *bolt.Tx) error { return prepare(tx, pipeline) }); err != nil {
		db.Close()
		return nil, fmt.Errorf("open state file %s: %w", path, err)
	}
	return &Store{db: db}, nil
}

// prepare lays out a new file and checks an old one.
func prepare(tx *bolt.Tx, pipeline string) error {
	for _, name := range [][]byte{bucketMeta, bucketTables, bucketCopies, bucketSource} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	if version := meta.Get(keyVersion); version == nil {
		if err := meta.Put(keyVersion, []byte{formatVersion}); err != nil {
			return err
		}
		return meta.Put(keyPipeline, []byte(pipeline))
	} else if len(version) != 1 || version[0] != formatVersion {
		return fmt.Errorf("it has format %v, this program knows format %d: use the release that wrote it", version, formatVersion)
	}
	if owner := string(meta.Get(keyPipeline)); owner != pipeline {
		return fmt.Errorf("it belongs to pipeline %q, this one is %q: set state to another file or name to %q", owner, pipeline, owner)
	}
	return nil
}

// Close lets go of the file.
func (s *Store) Close() error { return s.db.Close() }

// Saved returns what to resume from, nil before the first Save.
func (s *Store) Saved() (*Saved, error) {
	var saved *Saved
	err := s.db.View(func(tx *bolt.Tx) error {
		raw := tx.Bucket(bucketMeta).Get(keySaved)
		if raw == nil {
			return nil
		}
		saved = new(Saved)
		return json.Unmarshal(raw, saved)
	})
	if err != nil {
		return nil, fmt.Errorf("read saved position: %w", err)
	}
	return saved, nil
}

// Save replaces what to resume from.
func (s *Store) Save(saved Saved) error {
	raw, err := json.Marshal(saved)
	if err != nil {
		return fmt.Errorf("save position: %w", err)
	}
	return s.put("save position", bucketMeta, keySaved, raw)
}

// Tables returns all that is remembered of tables, by source name.
func (s *Store) Tables() (map[string]Table, error) {
	tables := make(map[string]Table)
	err := s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketTables).ForEach(func(name, raw []byte) error {
			var t Table
			if err := json.Unmarshal(raw, &t); err != nil {
				return fmt.Errorf("table %s: %w", name, err)
			}
			tables[string(name)] = t
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read saved tables: %w", err)
	}
	return tables, nil
}

// PutTable remembers a table.
func (s *Store) PutTable(name string, t Table) error {
	raw, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("save table %s: %w", name, err)
	}
	return s.put("save table "+name, bucketTables, []byte(name), raw)
}

// DeleteTable forgets a table and the progress of its copy.
func (s *Store) DeleteTable(name string) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		if err := dropCopy(tx, name); err != nil {
			return err
		}
		return tx.Bucket(bucketTables).Delete([]byte(name))
	})
	if err != nil {
		return fmt.Errorf("forget table %s: %w", name, err)
	}
	return nil
}

// Resync makes tables be copied again by the next run. With all set it takes
// all there are and forgets the position too, so that the run begins anew.
func (s *Store) Resync(names []string, all bool) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		tables := tx.Bucket(bucketTables)
		if all {
			names = nil
			if err := tables.ForEach(func(name, _ []byte) error { names = append(names, string(name)); return nil }); err != nil {
				return err
			}
			if err := tx.Bucket(bucketMeta).Delete(keySaved); err != nil {
				return err
			}
		}
		for _, name := range names {
			if err := resync(tx, tables, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark for resync: %w", err)
	}
	return nil
}

func resync(tx *bolt.Tx, tables *bolt.Bucket, name string) error {
	raw := tables.Get([]byte(name))
	if raw == nil {
		return fmt.Errorf("table %s is not in the state file", name)
	}
	var t Table
	if err := json.Unmarshal(raw, &t); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	raw, err := json.Marshal(Table{State: Resync, Target: t.Target})
	if err != nil {
		return err
	}
	if err := dropCopy(tx, name); err != nil {
		return err
	}
	return tables.Put([]byte(name), raw)
}

// StartCopy keeps the plan of a table's copy and forgets an earlier one.
func (s *Store) StartCopy(name string, plan []byte) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		if err := dropCopy(tx, name); err != nil {
			return err
		}
		b, err := tx.Bucket(bucketCopies).CreateBucket([]byte(name))
		if err != nil {
			return err
		}
		return b.Put(keyPlan, plan)
	})
	if err != nil {
		return fmt.Errorf("save copy plan of %s: %w", name, err)
	}
	return nil
}

// Copy returns the plan of a table's copy, nil if there is none, and the rows
// of each chunk that is done, by its number.
func (s *Store) Copy(name string) (plan []byte, done map[int]int64, err error) {
	done = make(map[int]int64)
	err = s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketCopies).Bucket([]byte(name))
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			switch {
			case string(k) == string(keyPlan):
				plan = append([]byte(nil), v...)
			case len(k) == 4 && len(v) == 8:
				done[int(binary.BigEndian.Uint32(k))] = int64(binary.BigEndian.Uint64(v))
			default:
				return fmt.Errorf("unknown key %q", k)
			}
			return nil
		})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read copy progress of %s: %w", name, err)
	}
	return plan, done, nil
}

// ChunkDone remembers that all rows of a chunk are in ClickHouse.
func (s *Store) ChunkDone(name string, chunk int, rows int64) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketCopies).Bucket([]byte(name))
		if b == nil {
			return errors.New("its copy was not started")
		}
		key := binary.BigEndian.AppendUint32(nil, uint32(chunk))
		return b.Put(key, binary.BigEndian.AppendUint64(nil, uint64(rows)))
	})
	if err != nil {
		return fmt.Errorf("save chunk %d of %s: %w", chunk, name, err)
	}
	return nil
}

// FinishCopy replaces a table's copy progress by the table's new state.
func (s *Store) FinishCopy(name string, t Table) error {
	raw, err := json.Marshal(t)
	if err == nil {
		err = s.db.Update(func(tx *bolt.Tx) error {
			if err := dropCopy(tx, name); err != nil {
				return err
			}
			return tx.Bucket(bucketTables).Put([]byte(name), raw)
		})
	}
	if err != nil {
		return fmt.Errorf("save finished copy of %s: %w", name, err)
	}
	return nil
}

// Get returns what the source remembers under key, nil if nothing.
func (s *Store) Get(key string) (value []byte, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		if v := tx.Bucket(bucketSource).Get([]byte(key)); v != nil {
			value = append([]byte{}, v...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read source state %q: %w", key, err)
	}
	return value, nil
}

// Put makes the source remember value under key.
func (s *Store) Put(key string, value []byte) error {
	return s.put("save source state "+key, bucketSource, []byte(key), value)
}

func (s *Store) put(action string, bucket, key, value []byte) error {
	err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put(key, value) })
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return nil
}

func dropCopy(tx *bolt.Tx, name string) error {
	err := tx.Bucket(bucketCopies).DeleteBucket([]byte(name))
	if errors.Is(err, berrors.ErrBucketNotFound) {
		return nil
	}
	return err
}

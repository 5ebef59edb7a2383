package mapper

import (
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// own holds millrace's own columns of a block.
type own struct {
	version  proto.ColUInt64
	deleted  proto.ColUInt8
	time     proto.ColDateTime64 // filled when the plan asks for it
	position proto.ColUInt64     // likewise
	hasTime  bool
	hasPlace bool
}

// inputs appends the columns that the plan asks for.
func (o *own) inputs(p *Plan, dst []proto.InputColumn) []proto.InputColumn {
	o.time.WithPrecision(proto.PrecisionMicro).WithLocation(time.UTC)
	dst = append(dst,
		proto.InputColumn{Name: VersionColumn, Data: &o.version},
		proto.InputColumn{Name: IsDeletedColumn, Data: &o.deleted})
	for _, m := range p.Metadata {
		switch m {
		case CommitTime:
			o.hasTime = true
			dst = append(dst, proto.InputColumn{Name: m.Column(), Data: &o.time})
		case LogPosition:
			o.hasPlace = true
			dst = append(dst, proto.InputColumn{Name: m.Column(), Data: &o.position})
		}
	}
	return dst
}

func (o *own) append(version uint64, deleted uint8, micros int64) {
	o.version = append(o.version, version)
	o.deleted = append(o.deleted, deleted)
	if o.hasTime {
		o.time.Data = append(o.time.Data, proto.DateTime64(micros))
	}
	if o.hasPlace {
		o.position = append(o.position, version&maxOrder)
	}
}

func (o *own) truncate(rows int) {
	o.version = o.version[:rows]
	o.deleted = o.deleted[:rows]
	if o.hasTime {
		o.time.Data = o.time.Data[:rows]
	}
	if o.hasPlace {
		o.position = o.position[:rows]
	}
}

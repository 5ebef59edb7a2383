package postgres

import "github.com/millrace/millrace/source"

// pgType is a row of pg_type with what it refers to resolved.
type pgType struct {
	OID      uint32
	Name     string  // typname
	Schema   string  // of typnamespace
	Kind     byte    // typtype: b base, e enum, d domain, c composite, r range, m multirange, p pseudo
	Elem     *pgType // of an array (typsubscript is array_subscript_handler), else nil
	Delim    byte    // typdelim, which separates values of this type in an array; 0 is a comma
	Base     *pgType // of a domain
	BaseMod  int32   // typtypmod of the domain
	BaseDims int     // typndims of the domain
}

// OIDs of the built-in types that have decoders (src/include/catalog/pg_type.dat).
const (
	oidBool        = 16
	oidBytea       = 17
	oidChar        = 18
	oidName        = 19
	oidInt8        = 20
	oidInt2        = 21
	oidInt2Vector  = 22
	oidInt4        = 23
	oidText        = 25
	oidOID         = 26
	oidOIDVector   = 30
	oidJSON        = 114
	oidFloat4      = 700
	oidFloat8      = 701
	oidBPChar      = 1042
	oidVarchar     = 1043
	oidDate        = 1082
	oidTime        = 1083
	oidTimestamp   = 1114
	oidTimestampTZ = 1184
	oidNumeric     = 1700
	oidUUID        = 2950
	oidJSONB       = 3802
)

// A codec is a logical type with the decoders of its two wire forms.
type codec struct {
	typ          source.Type
	text, binary source.Decode
}

var textCodec = codec{source.Type{Kind: source.String}, rawBytes, rawBytes}

// asText is what a type is taken for that has no decoder: the text that
// Postgres prints.
var asText = codec{source.Type{Kind: source.String}, rawBytes, nil}

var builtin = map[uint32]codec{
	oidBool:        {source.Type{Kind: source.Bool}, boolText, boolBinary},
	oidInt2:        {source.Type{Kind: source.Int16}, int2Text, int2Binary},
	oidInt4:        {source.Type{Kind: source.Int32}, int4Text, int4Binary},
	oidInt8:        {source.Type{Kind: source.Int64}, int8Text, int8Binary},
	oidOID:         {source.Type{Kind: source.UInt32}, oidTextForm, oidBinary},
	oidFloat4:      {source.Type{Kind: source.Float32}, float4Text, float4Binary},
	oidFloat8:      {source.Type{Kind: source.Float64}, float8Text, float8Binary},
	oidText:        textCodec,
	oidVarchar:     textCodec,
	oidBPChar:      textCodec,
	oidName:        textCodec,
	oidChar:        {source.Type{Kind: source.String}, charForm, charForm},
	oidBytea:       {source.Type{Kind: source.Bytes}, byteaText, rawBytes},
	oidUUID:        {source.Type{Kind: source.UUID}, uuidText, uuidBinary},
	oidJSON:        {source.Type{Kind: source.JSON}, rawBytes, rawBytes},
	oidJSONB:       {source.Type{Kind: source.JSON}, rawBytes, jsonbBinary},
	oidDate:        {source.Type{Kind: source.Date}, dateText, dateBinary},
	oidTime:        {source.Type{Kind: source.Time, Precision: 6}, timeText, timeBinary},
	oidTimestamp:   {source.Type{Kind: source.Timestamp, Precision: 6}, timestampText, timestampBinary},
	oidTimestampTZ: {source.Type{Kind: source.Timestamp, Precision: 6}, timestamptzText, timestampBinary},
	// Arrays in the catalog, but printed as "1 2 3".
	oidInt2Vector: asText,
	oidOIDVector:  asText,
}

// columnType returns the logical type of a column of type t and its decoders.
// mod is its atttypmod (-1: none) and dims its attndims. key is set for columns
// of the target's sorting key, which must hold every value exactly. binary is
// nil when the binary form is not decoded: such a column is read as text.
//
// The text decoders expect DateStyle ISO, bytea_output hex or escape and an
// extra_float_digits above 0.
func columnType(t *pgType, mod int32, dims int, key bool) (typ source.Type, text, binary source.Decode) {
	c := codecOf(t, mod, dims, key)
	return c.typ, c.text, c.binary
}

func codecOf(t *pgType, mod int32, dims int, key bool) codec {
	if c, ok := builtin[t.OID]; ok {
		return c
	}
	switch {
	case t.OID == oidNumeric:
		return numericCodec(mod, key)
	case t.Kind == 'd' && t.Base != nil:
		return codecOf(t.Base, t.BaseMod, max(dims, t.BaseDims), key)
	case t.Kind == 'e':
		return codec{source.Type{Kind: source.Enum}, rawBytes, rawBytes}
	case t.Elem != nil:
		return arrayCodec(t.Elem, mod, dims, key)
	case t.Kind == 'b' && t.Name == "citext":
		return textCodec
	}
	return asText
}

// maxDigits is the widest Decimal.
const maxDigits = 76

// numericCodec returns how numeric(p, s) is kept. A typmod holds p and, since
// Postgres 15 signed, s (numeric_typmod_precision and _scale in
// src/backend/utils/adt/numeric.c).
func numericCodec(mod int32, key bool) codec {
	precision, scale := maxDigits, maxDigits/2
	if mod >= 4 {
		mod -= 4
		precision, scale = int(mod>>16)&0xffff, int(mod&0x7ff^0x400)-0x400
		switch {
		case scale < 0: // rounded to the left of the point
			precision, scale = precision-scale, 0
		case scale > precision: // zeros behind the point
			precision = scale
		}
	} else if key {
		precision = maxDigits + 1
	}
	if precision > maxDigits {
		return codec{source.Type{Kind: source.String}, rawBytes, numericBinaryString}
	}
	return codec{source.Type{Kind: source.Decimal, Precision: precision, Scale: scale}, numericText, numericBinary}
}

// arrayCodec returns how elem[] is kept. The declared number of dimensions
// decides, though Postgres does not enforce it: see ArrayShape.
func arrayCodec(elem *pgType, mod int32, dims int, key bool) codec {
	dims = min(max(dims, 1), maxDims)
	e := codecOf(elem, mod, 0, key)
	a := &array{elem: e.text, dims: dims, delim: ','}
	if elem.Delim != 0 {
		a.delim = elem.Delim
	}
	c := codec{typ: e.typ, text: a.decodeText}
	for range dims {
		inner := c.typ
		c.typ = source.Type{Kind: source.Array, Elem: &inner}
	}
	if e.binary != nil {
		b := &array{elem: e.binary, dims: dims}
		c.binary = b.decodeBinary
	}
	return c
}

package embedded

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"runtime"
)

// A launcher is the smallest dynamic executable that hands its arguments to
// the engine's entry point in libchdb.so, which stands in the same folder:
//
//	result := chdb_query_cmdline(argc, argv)
//	if result != nil {
//		if text := chdb_result_error(result); text != nil {
//			puts(text)
//			exit(1)
//		}
//	}
//	exit(0)
//
// millrace itself is linked statically, so it cannot load a shared library,
// and the engine should not share a process with it anyway. The system's own
// loader starts this file instead.
//
//	0x0000  R E  ELF header, program headers, interpreter, symbols, strings,
//	             relocations, code
//	0x10000 RW   dynamic section, GOT: one address per symbol, filled by the
//	             loader before the first instruction
//
// Formats: System V ABI, chapters 4 and 5, and the processor supplements for
// x86-64 and AArch64.
func launcher(arch string) ([]byte, error) {
	m, ok := machines[arch]
	if !ok {
		return nil, fmt.Errorf("no engine for %s/%s", runtime.GOOS, arch)
	}
	return m.link()
}

// A machine is what differs between processors.
type machine struct {
	id     elf.Machine
	interp string
	reloc  uint32 // "write the symbol's address here"
	// code assembles the program for an entry point at address at and a GOT
	// at address got.
	code func(at, got uint64) []byte
}

var machines = map[string]machine{
	"amd64": {elf.EM_X86_64, "/lib64/ld-linux-x86-64.so.2", uint32(elf.R_X86_64_GLOB_DAT), codeAMD64},
	"arm64": {elf.EM_AARCH64, "/lib/ld-linux-aarch64.so.1", uint32(elf.R_AARCH64_GLOB_DAT), codeARM64},
}

// The symbols, in the order of their GOT entries.
var imports = [...]string{"chdb_query_cmdline", "chdb_result_error", "puts", "exit"}

const (
	symQuery = iota
	symError
	symPuts
	symExit

	pointer    = 8
	dataOffset = 0x10000 // a multiple of every page size in use
)

const (
	headerSize  = 64
	programSize = 56
	programs    = 6
)

func (m machine) link() ([]byte, error) {
	var text, data bytes.Buffer
	text.Write(make([]byte, headerSize+programs*programSize)) // filled in last

	interp := section(&text, append([]byte(m.interp), 0))

	strings := []byte{0}
	name := func(s string) uint32 {
		at := uint32(len(strings))
		strings = append(append(strings, s...), 0)
		return at
	}
	symbols := []elf.Sym64{{}}
	for _, s := range imports {
		symbols = append(symbols, elf.Sym64{Name: name(s), Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC)})
	}
	library, libc, origin := name(libraryName), name("libc.so.6"), name("$ORIGIN")
	symtab := section(&text, symbols)
	strtab := section(&text, strings)

	// The dynamic section has a known length, the GOT follows it.
	const dynamics = 11
	got := uint64(dataOffset + dynamics*2*pointer)
	relocations := make([]elf.Rela64, len(imports))
	for i := range imports {
		relocations[i] = elf.Rela64{Off: got + uint64(i*pointer), Info: elf.R_INFO(uint32(i+1), m.reloc)}
	}
	rela := section(&text, relocations)
	entry := section(&text, [0]byte{})
	text.Write(m.code(entry.at, got))

	section(&data, [dynamics]elf.Dyn64{
		{Tag: int64(elf.DT_NEEDED), Val: uint64(library)},
		{Tag: int64(elf.DT_NEEDED), Val: uint64(libc)},
		{Tag: int64(elf.DT_RUNPATH), Val: uint64(origin)},
		{Tag: int64(elf.DT_SYMTAB), Val: symtab.at},
		{Tag: int64(elf.DT_SYMENT), Val: elf.Sym64Size},
		{Tag: int64(elf.DT_STRTAB), Val: strtab.at},
		{Tag: int64(elf.DT_STRSZ), Val: strtab.size},
		{Tag: int64(elf.DT_RELA), Val: rela.at},
		{Tag: int64(elf.DT_RELASZ), Val: rela.size},
		{Tag: int64(elf.DT_RELAENT), Val: 24},
		{Tag: int64(elf.DT_NULL)},
	})
	dynamic := extent{dataOffset, uint64(data.Len())}
	data.Write(make([]byte, len(imports)*pointer))

	var head bytes.Buffer
	section(&head, m.header(entry.at))
	section(&head, [programs]elf.Prog64{
		// From this one the loader learns where the file was mapped.
		segment(elf.PT_PHDR, elf.PF_R, extent{headerSize, programs * programSize}, pointer),
		segment(elf.PT_INTERP, elf.PF_R, interp, 1),
		segment(elf.PT_LOAD, elf.PF_R|elf.PF_X, extent{0, uint64(text.Len())}, dataOffset),
		segment(elf.PT_LOAD, elf.PF_R|elf.PF_W, extent{dataOffset, uint64(data.Len())}, dataOffset),
		segment(elf.PT_DYNAMIC, elf.PF_R|elf.PF_W, dynamic, pointer),
		segment(elf.PT_GNU_STACK, elf.PF_R|elf.PF_W, extent{}, 16),
	})

	file := make([]byte, dataOffset, dataOffset+data.Len())
	copy(file, text.Bytes())
	copy(file, head.Bytes())
	return append(file, data.Bytes()...), nil
}

func (m machine) header(entry uint64) elf.Header64 {
	h := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(m.id), Version: uint32(elf.EV_CURRENT),
		Entry: entry, Phoff: headerSize, Ehsize: headerSize, Phentsize: programSize, Phnum: programs,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS64)
	h.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	h.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	return h
}

// An extent is a place in the file, which is its address in memory too.
type extent struct{ at, size uint64 }

// section appends v, aligned, in the file's byte order.
func section(b *bytes.Buffer, v any) extent {
	for b.Len()%pointer != 0 {
		b.WriteByte(0)
	}
	at := uint64(b.Len())
	if err := binary.Write(b, binary.LittleEndian, v); err != nil {
		panic(err) // only for a type without a fixed size
	}
	return extent{at, uint64(b.Len()) - at}
}

func segment(t elf.ProgType, f elf.ProgFlag, e extent, align uint64) elf.Prog64 {
	return elf.Prog64{
		Type: uint32(t), Flags: uint32(f), Off: e.at, Vaddr: e.at, Paddr: e.at,
		Filesz: e.size, Memsz: e.size, Align: align,
	}
}

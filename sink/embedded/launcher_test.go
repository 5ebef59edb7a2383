package embedded

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
	"testing"
)

func TestLauncherImportsTheEntryPoint(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		b, err := launcher(arch)
		if err != nil {
			t.Fatal(err)
		}
		f, err := elf.NewFile(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		if f.Machine != machine || f.Type != elf.ET_DYN {
			t.Errorf("%s: %v, %v", arch, f.Machine, f.Type)
		}
		for _, name := range append([]string{libraryName, "libc.so.6"}, imports[:]...) {
			if !bytes.Contains(b, append([]byte{0}, append([]byte(name), 0)...)) {
				t.Errorf("%s: does not name %s", arch, name)
			}
		}
		var loads []elf.ProgFlag
		for _, p := range f.Progs {
			if p.Type == elf.PT_LOAD {
				loads = append(loads, p.Flags)
			}
		}
		if !slices.Equal(loads, []elf.ProgFlag{elf.PF_R | elf.PF_X, elf.PF_R | elf.PF_W}) {
			t.Errorf("%s: loads %v; nothing may be writable and executable", arch, loads)
		}
	}
	if _, err := launcher("sparc"); err == nil {
		t.Error("there is one for sparc")
	}
}

// The tests run only one of the programs, so the other's calls are decoded.
func TestARM64CallsThroughTheGOT(t *testing.T) {
	const at, got = 0x2d8, 0x100b0
	var calls []int
	code := codeARM64(at, got)
	for i := 0; i < len(code); i += 4 {
		word := binary.LittleEndian.Uint32(code[i:])
		if word&0xff00001f != 0x58000010 { // ldr x16, literal
			continue
		}
		target := at + i + int(word>>5&0x7ffff)*4
		calls = append(calls, (target-got)/pointer)
		if (target-got)%pointer != 0 || binary.LittleEndian.Uint32(code[i+4:]) != 0xd63f0200 {
			t.Errorf("offset %d is no call", i)
		}
	}
	if want := []int{symQuery, symError, symPuts, symExit, symExit}; !slices.Equal(calls, want) {
		t.Errorf("calls %v, want %v", calls, want)
	}
}

package embedded

import "encoding/binary"

// codeAMD64 follows the System V ABI: at entry rsp points at argc, argv
// follows it; calls take rdi, rsi and want rsp aligned to 16.
func codeAMD64(at, got uint64) []byte {
	var c []byte
	emit := func(b ...byte) { c = append(c, b...) }
	call := func(symbol int) { // call [rip+disp]
		emit(0xff, 0x15)
		next := at + uint64(len(c)) + 4
		c = binary.LittleEndian.AppendUint32(c, uint32(got+uint64(symbol*pointer)-next))
	}
	var jumps []int
	jumpZero := func() { // je ok
		emit(0x74, 0)
		jumps = append(jumps, len(c))
	}
	emit(0x31, 0xed)                   // xor  ebp, ebp
	emit(0x48, 0x8b, 0x3c, 0x24)       // mov  rdi, [rsp]
	emit(0x48, 0x8d, 0x74, 0x24, 0x08) // lea  rsi, [rsp+8]
	emit(0x48, 0x83, 0xe4, 0xf0)       // and  rsp, -16
	call(symQuery)
	emit(0x48, 0x85, 0xc0) // test rax, rax
	jumpZero()
	emit(0x48, 0x89, 0xc7) // mov  rdi, rax
	call(symError)
	emit(0x48, 0x85, 0xc0) // test rax, rax
	jumpZero()
	emit(0x48, 0x89, 0xc7) // mov  rdi, rax
	call(symPuts)
	emit(0xbf, 1, 0, 0, 0) // mov  edi, 1
	call(symExit)
	for _, from := range jumps {
		c[from-1] = byte(len(c) - from)
	}
	emit(0x31, 0xff) // ok: xor edi, edi
	call(symExit)
	emit(0xf4) // hlt
	return c
}

// codeARM64 follows AAPCS64: at entry sp points at argc, argv follows it;
// calls take x0, x1.
func codeARM64(at, got uint64) []byte {
	var c []byte
	emit := func(instruction uint32) { c = binary.LittleEndian.AppendUint32(c, instruction) }
	call := func(symbol int) {
		distance := got + uint64(symbol*pointer) - at - uint64(len(c))
		emit(0x58000010 | uint32(distance/4)&0x7ffff<<5) // ldr x16, GOT entry
		emit(0xd63f0200)                                 // blr x16
	}
	emit(0xd280001d) // mov  x29, #0
	emit(0xd280001e) // mov  x30, #0
	emit(0xf94003e0) // ldr  x0, [sp]
	emit(0x910023e1) // add  x1, sp, #8
	call(symQuery)
	emit(0xb4000000 | 9<<5) // cbz x0, ok
	call(symError)
	emit(0xb4000000 | 6<<5) // cbz x0, ok
	call(symPuts)
	emit(0x52800020) // mov  w0, #1
	call(symExit)
	emit(0x52800000) // ok: mov w0, #0
	call(symExit)
	emit(0xd4200000) // brk  #0
	return c
}

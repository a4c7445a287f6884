// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/token.h"

#define N TOKEN_NAME
#define V TOKEN_VALUE
#define T TOKEN_TARGET

/* clang-format off */
const uint8_t token_classes[256] = {
	['\t'] = V,
	[' '] = V,
	['!'] = N | V | T, ['"'] = V | T, ['#'] = N | V, ['$'] = N | V | T, ['%'] = N | V | T,
	['&'] = N | V | T, ['\''] = N | V | T, ['('] = V | T, [')'] = V | T, ['*'] = N | V | T,
	['+'] = N | V | T, [','] = V | T, ['-'] = N | V | T, ['.'] = N | V | T, ['/'] = V | T,
	['0'] = N | V | T, ['1'] = N | V | T, ['2'] = N | V | T, ['3'] = N | V | T,
	['4'] = N | V | T, ['5'] = N | V | T, ['6'] = N | V | T, ['7'] = N | V | T,
	['8'] = N | V | T, ['9'] = N | V | T, [':'] = V | T, [';'] = V | T, ['<'] = V | T,
	['='] = V | T, ['>'] = V | T, ['?'] = V | T, ['@'] = V | T, ['A'] = N | V | T,
	['B'] = N | V | T, ['C'] = N | V | T, ['D'] = N | V | T, ['E'] = N | V | T,
	['F'] = N | V | T, ['G'] = N | V | T, ['H'] = N | V | T, ['I'] = N | V | T,
	['J'] = N | V | T, ['K'] = N | V | T, ['L'] = N | V | T, ['M'] = N | V | T,
	['N'] = N | V | T, ['O'] = N | V | T, ['P'] = N | V | T, ['Q'] = N | V | T,
	['R'] = N | V | T, ['S'] = N | V | T, ['T'] = N | V | T, ['U'] = N | V | T,
	['V'] = N | V | T, ['W'] = N | V | T, ['X'] = N | V | T, ['Y'] = N | V | T,
	['Z'] = N | V | T, ['['] = V | T, ['\\'] = V | T, [']'] = V | T, ['^'] = N | V | T,
	['_'] = N | V | T, ['`'] = N | V | T, ['a'] = N | V | T, ['b'] = N | V | T,
	['c'] = N | V | T, ['d'] = N | V | T, ['e'] = N | V | T, ['f'] = N | V | T,
	['g'] = N | V | T, ['h'] = N | V | T, ['i'] = N | V | T, ['j'] = N | V | T,
	['k'] = N | V | T, ['l'] = N | V | T, ['m'] = N | V | T, ['n'] = N | V | T,
	['o'] = N | V | T, ['p'] = N | V | T, ['q'] = N | V | T, ['r'] = N | V | T,
	['s'] = N | V | T, ['t'] = N | V | T, ['u'] = N | V | T, ['v'] = N | V | T,
	['w'] = N | V | T, ['x'] = N | V | T, ['y'] = N | V | T, ['z'] = N | V | T,
	['{'] = V | T, ['|'] = N | V | T, ['}'] = V | T, ['~'] = N | V | T,
	[0x80 ... 0xff] = V,
};
/* clang-format on */

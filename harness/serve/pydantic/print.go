package pydantic

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Repr prints a string as Python's repr does.
func Repr(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b := append(make([]byte, 0, len(s)+2), quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa1 || r == 0xad:
			b = append(b, `\x`...)
			b = append(b, hexDigits[r>>4&15], hexDigits[r&15])
		case r > 0x7f && !unicode.IsPrint(r):
			b = appendWide(b, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return string(append(b, quote))
}

const hexDigits = "0123456789abcdef"

func appendWide(b []byte, r rune) []byte {
	width, lead := 4, byte('u')
	if r > 0xffff {
		width, lead = 8, 'U'
	}
	b = append(b, '\\', lead)
	for shift := 4 * (width - 1); shift >= 0; shift -= 4 {
		b = append(b, hexDigits[r>>shift&15])
	}
	return b
}

// Float prints a float as Python's repr does: the shortest digits that give it back, "3.0" for whole numbers.
func Float(f float64) string { return string(AppendFloat(nil, f)) }

// AppendFloat appends Float(f).
func AppendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "nan"...)
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	case f != 0 && (math.Abs(f) < 1e-4 || math.Abs(f) >= 1e16):
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	n := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	if !strings.Contains(string(b[n:]), ".") {
		b = append(b, ".0"...)
	}
	return b
}

// AppendString appends s as a JSON string the way vLLM's answers hold it: everything but quotes, backslashes and
// control characters as it is; with ascii, as in error events inside a stream, other characters are escaped too.
func AppendString(b []byte, s string, ascii bool) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf && ascii {
			r, size := utf8.DecodeRuneInString(s[i:])
			b = append(b, s[start:i]...)
			if r > 0xffff {
				r -= 0x10000
				b = appendWide(b, 0xd800+r>>10)
				r = 0xdc00 + r&0x3ff
			}
			b = appendWide(b, r)
			i += size
			start = i
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

// SPDX-License-Identifier: Apache-2.0

// Package textdiff compares two texts line by line. Input: the texts; output: a
// unified diff, as diff -u writes it. It reads no files.
package textdiff

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	around   = 3       // unchanged lines that are shown with a change
	maxCells = 4 << 20 // of the table that finds common lines; beyond it all differing lines are one change
)

// IsText tells whether b can be shown as lines: UTF-8 without NUL.
func IsText(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }

// line is one line of a diff: ' ', '-' or '+', and its text.
type line struct {
	op   byte
	text string
}

// Unified gives the lines of a diff from a to b, without line ends; none if they
// are equal. The two header lines carry the names as they are given.
func Unified(nameA, nameB string, a, b []byte) []string {
	if bytes.Equal(a, b) {
		return nil
	}
	all := compare(split(a), split(b))
	out := []string{"--- " + nameA, "+++ " + nameB}
	lineA, lineB := 1, 1
	for i := 0; i < len(all); {
		begin, end := hunk(all, i)
		for ; i < begin; i++ { // unchanged
			lineA++
			lineB++
		}
		countA, countB := 0, 0
		for _, l := range all[begin:end] {
			if l.op != '+' {
				countA++
			}
			if l.op != '-' {
				countB++
			}
		}
		if countA+countB == 0 {
			break
		}
		out = append(out, fmt.Sprintf("@@ -%s +%s @@", span(lineA, countA), span(lineB, countB)))
		for _, l := range all[begin:end] {
			text, whole := strings.CutSuffix(l.text, "\n")
			out = append(out, string(l.op)+text)
			if !whole {
				out = append(out, `\ No newline at end of file`)
			}
		}
		lineA, lineB, i = lineA+countA, lineB+countB, end
	}
	return out
}

// span is a hunk's place: an empty one begins before its first line.
func span(first, count int) string {
	if count == 0 {
		first--
	}
	if count == 1 {
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d,%d", first, count)
}

// hunk is the next group of changes at or after i, with the lines around it.
func hunk(all []line, i int) (begin, end int) {
	first := i
	for first < len(all) && all[first].op == ' ' {
		first++
	}
	if first == len(all) {
		return len(all), len(all)
	}
	last := first
	for j := first; j < len(all) && j <= last+2*around; j++ {
		if all[j].op != ' ' {
			last = j
		}
	}
	return max(i, first-around), min(len(all), last+around+1)
}

// split cuts a text into lines that keep their line ends.
func split(b []byte) []string {
	var out []string
	for l := range strings.Lines(string(b)) {
		out = append(out, l)
	}
	return out
}

// compare finds a longest common subsequence of lines.
func compare(a, b []string) []line {
	var head, tail []line
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		head = append(head, line{' ', a[0]})
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail = append(tail, line{' ', a[len(a)-1]})
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	out := append(head, middle(a, b)...)
	for i := range tail {
		out = append(out, tail[len(tail)-1-i])
	}
	return out
}

func middle(a, b []string) []line {
	var out []line
	if len(a)*len(b) > maxCells {
		for _, l := range a {
			out = append(out, line{'-', l})
		}
		for _, l := range b {
			out = append(out, line{'+', l})
		}
		return out
	}
	// common[i][j] is how many lines a[i:] and b[j:] have in common.
	common := make([][]int32, len(a)+1)
	for i := range common {
		common[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, line{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, line{'-', a[i]})
			i++
		default:
			out = append(out, line{'+', b[j]})
			j++
		}
	}
	return out
}

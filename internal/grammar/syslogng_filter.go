// SPDX-License-Identifier: Apache-2.0

package grammar

// sngDepth bounds brackets within brackets in a filter.
const sngDepth = 20

// filter checks an expression up to its end, which is the first token that cannot go on with it.
func (s *sngFile) filter(depth int) bool {
	for {
		for s.peek().text == "not" && s.peek().kind == 'w' {
			s.next()
		}
		start := s.peek()
		switch {
		case depth > sngDepth:
			s.refuse(start.line, "", "filter has more than %d brackets within one another: make it simpler", sngDepth)
			return false
		case start.kind == '(':
			s.next()
			if !s.filter(depth+1) || !s.expect(")") {
				return false
			}
		case !s.function():
			return false
		}
		if join := s.peek(); join.kind != 'w' || join.text != "and" && join.text != "or" {
			return true
		}
		s.next()
	}
}

// function checks name(value ...) in a filter.
func (s *sngFile) function() bool {
	name := s.next()
	if name.kind == 'w' && s.allowed[sngKey(name.text)] {
		return s.skip(')')
	}
	known, ok := sngFunctions()[name.text]
	if name.kind != 'w' || !ok {
		s.unknown(name.line, name.text)
		return false
	}
	if !s.expect("(") {
		return false
	}
	for values := 0; s.peek().kind != ')'; values++ {
		item := s.peek()
		_, option := known.options[item.text]
		switch {
		case item.kind == 'w' && option:
			if !s.option(known.options) {
				return false
			}
		case values > 0 && (item.kind == ',' || item.text == "..") && known.list:
			s.next()
		case item.kind != 'w' && item.kind != 's' || values > 0 && !known.list:
			s.refuse(item.line, name.text, "%q is too much or no value in %s: rewrite it", cut(item.text), cut(name.text))
			return false
		default:
			s.value(item.line, name.text, s.next().text, known.value)
		}
	}
	return s.expect(")")
}

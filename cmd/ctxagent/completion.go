// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// completion is `ctxagent completion`: a shell's completions, made of the same
// table as the help.
func completion(args []string, stdout io.Writer) error {
	shells := map[string]func() string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
	if len(args) != 1 || shells[args[0]] == nil {
		return fmt.Errorf("%w: completion: bash, zsh or fish?", errUsage)
	}
	_, err := io.WriteString(stdout, shells[args[0]]())
	return err
}

// firstWords are the words that a command line may begin with, each once.
func firstWords() []string {
	var out []string
	for _, c := range commands {
		if w, _, _ := strings.Cut(c.name, " "); !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return append(out, "help")
}

// helpSummary is of the flag that each command has beside those of the table.
const helpSummary = "say more of it, with examples"

// summaryOf says what a first word is for.
func summaryOf(first string) string {
	if c, ok := commandOf([]string{first}); ok {
		return c.summary
	}
	if first == "help" {
		return "list all commands"
	}
	return policySummary
}

// secondWords are what may stand behind a first word: the rest of a command, or
// one of a list.
func secondWords(first string) []string {
	var out []string
	for _, c := range commands {
		if rest, ok := strings.CutPrefix(c.name, first+" "); ok {
			out = append(out, rest)
		}
		if c.name == first {
			out = append(out, listed(c.words)...)
		}
	}
	return out
}

// listed are the words of a list such as bash|zsh; none of what is no list of words
// as they are written, such as DISC|DIR.
func listed(words string) []string {
	if !strings.Contains(words, "|") || strings.ToLower(words) != words {
		return nil
	}
	return strings.Split(words, "|")
}

// bashOffer fills in what begins as the word at hand.
func bashOffer(words []string) string {
	return fmt.Sprintf("mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")", strings.Join(words, " "))
}

func bashCompletion() string {
	var b strings.Builder
	b.WriteString("# ctxagent completions for bash\n_ctxagent() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n\tlocal command=${COMP_WORDS[1]}\n\tCOMPREPLY=()\n")
	fmt.Fprintf(&b, "\tif [[ $COMP_CWORD -eq 1 && $cur != -* ]]; then\n\t\t%s\n\t\treturn\n\tfi\n", bashOffer(firstWords()))
	b.WriteString("\tif [ \"$command\" = policy ]; then\n\t\tcommand=\"policy ${COMP_WORDS[2]}\"\n")
	fmt.Fprintf(&b, "\t\tif [[ $COMP_CWORD -eq 2 && $cur != -* ]]; then\n\t\t\t%s\n\t\t\treturn\n\t\tfi\n\tfi\n", bashOffer(secondWords("policy")))
	b.WriteString("\tcase \"$command $prev\" in\n")
	for _, c := range commands {
		for _, f := range c.flags {
			switch {
			case f.kind == directory:
				fmt.Fprintf(&b, "\t'%s %s') mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return ;;\n", c.name, f.dashed())
			case listed(f.kind) != nil:
				fmt.Fprintf(&b, "\t'%s %s') %s; return ;;\n", c.name, f.dashed(), bashOffer(listed(f.kind)))
			case f.kind == anyValue:
				fmt.Fprintf(&b, "\t'%s %s') return ;;\n", c.name, f.dashed())
			}
		}
	}
	b.WriteString("\tesac\n\tif [[ $cur == -* ]]; then\n\t\tcase $command in\n")
	for _, c := range commands {
		var names []string
		for _, f := range c.flags {
			names = append(names, f.dashed())
		}
		if len(names) > 0 {
			fmt.Fprintf(&b, "\t\t'%s') %s ;;\n", c.name, bashOffer(append(names, "--help")))
		}
	}
	fmt.Fprintf(&b, "\t\t*) %s ;;\n\t\tesac\n\t\treturn\n\tfi\n\tcase $command in\n", bashOffer([]string{"--help"}))
	for _, c := range commands {
		if words := listed(c.words); words != nil {
			fmt.Fprintf(&b, "\t%s) %s ;;\n", c.name, bashOffer(words))
		}
	}
	b.WriteString("\t*) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n\tesac\n}\ncomplete -o filenames -F _ctxagent ctxagent\n")
	return b.String()
}

// zshQuoted makes a summary safe inside a single-quoted specification.
func zshQuoted(s string) string {
	return strings.NewReplacer("'", "’", "[", "(", "]", ")", ":", " -").Replace(s)
}

func zshCompletion() string {
	var b strings.Builder
	b.WriteString("#compdef ctxagent\n# ctxagent completions for zsh\n_ctxagent() {\n\tlocal -a words_of\n\tif [[ $PREFIX == -* ]] && { (( CURRENT == 2 )) || [[ $CURRENT$words[2] == 3policy ]]; }; then\n\t\tcompadd -- --help\n\t\treturn\n\tfi\n\tif (( CURRENT == 2 )); then\n\t\twords_of=(\n")
	for _, w := range firstWords() {
		fmt.Fprintf(&b, "\t\t\t'%s:%s'\n", w, zshQuoted(summaryOf(w)))
	}
	b.WriteString("\t\t)\n\t\t_describe command words_of\n\t\treturn\n\tfi\n\tlocal command=$words[2]\n")
	b.WriteString("\tif [[ $command == policy ]]; then\n\t\tif (( CURRENT == 3 )); then\n\t\t\tcompadd " + strings.Join(secondWords("policy"), " ") + "\n\t\t\treturn\n\t\tfi\n\t\tcommand=\"policy $words[3]\"\n\tfi\n\tcase $command in\n")
	for _, c := range commands {
		fmt.Fprintf(&b, "\t'%s') _arguments", c.name)
		fmt.Fprintf(&b, " \\\n\t\t'(- *)--help[%s]'", helpSummary)
		for _, f := range c.flags {
			again := ""
			if f.repeats() {
				again = "*"
			}
			fmt.Fprintf(&b, " \\\n\t\t'%s%s[%s]%s'", again, f.dashed(), zshQuoted(f.summary), zshAction(f.kind))
		}
		rest := "_files"
		if second := secondWords(c.name); len(second) > 0 {
			rest = "(" + strings.Join(second, " ") + ")"
		}
		fmt.Fprintf(&b, " \\\n\t\t'*:word:%s' ;;\n", rest)
	}
	b.WriteString("\tesac\n}\n_ctxagent \"$@\"\n")
	return b.String()
}

func zshAction(kind string) string {
	switch {
	case kind == noValue:
		return ""
	case kind == directory:
		return ":directory:_files -/"
	case kind == file || kind == directoryOrImage:
		return ":file:_files"
	case listed(kind) != nil:
		return ":value:(" + strings.Join(listed(kind), " ") + ")"
	}
	return ":value:"
}

func fishCompletion() string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `\'`) + "'" }
	var b strings.Builder
	fmt.Fprintf(&b, "# ctxagent completions for fish\ncomplete -c ctxagent -l help -d %s\n", quote(helpSummary))
	for _, w := range firstWords() {
		fmt.Fprintf(&b, "complete -c ctxagent -f -n __fish_use_subcommand -a %s -d %s\n", w, quote(summaryOf(w)))
	}
	for _, c := range commands {
		first, second, two := strings.Cut(c.name, " ")
		seen := "__fish_seen_subcommand_from " + first
		if two {
			fmt.Fprintf(&b, "complete -c ctxagent -f -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from %s' -a %s -d %s\n", first, strings.Join(secondWords(first), " "), second, quote(c.summary))
			seen += "; and __fish_seen_subcommand_from " + second
		} else if list := secondWords(first); len(list) > 0 {
			fmt.Fprintf(&b, "complete -c ctxagent -f -n %s -a %s\n", quote(seen), quote(strings.Join(list, " ")))
		}
		for _, f := range c.flags {
			long := "-l"
			if len(f.name) == 1 {
				long = "-s"
			}
			fmt.Fprintf(&b, "complete -c ctxagent -n %s %s %s -d %s", quote(seen), long, f.name, quote(f.summary))
			switch {
			case f.kind == file || f.kind == directory || f.kind == directoryOrImage:
				b.WriteString(" -r -F")
			case listed(f.kind) != nil:
				fmt.Fprintf(&b, " -x -a %s", quote(strings.Join(listed(f.kind), " ")))
			case f.kind != noValue:
				b.WriteString(" -x")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

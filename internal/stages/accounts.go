// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/ctxagent/ctxagent/internal/policy"
)

// accounts reads the names of the root's own passwd(5) and group(5): the ids of
// the machine that rehearses are not the image's.
func accounts(root *os.Root) (policy.Accounts, error) {
	users, err := ids(root, "etc/passwd")
	if err != nil {
		return policy.Accounts{}, err
	}
	groups, err := ids(root, "etc/group")
	return policy.Accounts{Users: users, Groups: groups}, err
}

// ids maps the first field of each line to the third.
func ids(root *os.Root, name string) (map[string]uint32, error) {
	out := map[string]uint32{}
	f, err := root.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const most = 16 << 20
	s := bufio.NewScanner(io.LimitReader(f, most))
	s.Buffer(nil, most) // a group's line names all its members
	for s.Scan() {
		fields := strings.Split(s.Text(), ":")
		if len(fields) < 3 {
			continue
		}
		if id, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			if _, twice := out[fields[0]]; !twice { // the first one counts, as in getpwnam(3)
				out[fields[0]] = uint32(id)
			}
		}
	}
	return out, s.Err()
}

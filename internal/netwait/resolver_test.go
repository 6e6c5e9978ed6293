// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestNameservers(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for _, tt := range []struct {
		name string
		fs   fstest.MapFS
		want []string
	}{
		{"no resolver", fstest.MapFS{}, nil},
		{"plain", fstest.MapFS{"etc/resolv.conf": file("# nameserver 192.0.2.9\nsearch example.org\nnameserver 192.0.2.53\nnameserver 192.0.2.53\n nameserver\t2001:db8::53 \nnameserver nonsense\nnameserver\n")},
			[]string{"192.0.2.53", "2001:db8::53"}},
		{"the stub", fstest.MapFS{"etc/resolv.conf": file("nameserver 127.0.0.53\n"), "run/systemd/resolve/resolv.conf": file("nameserver 192.0.2.53\n")}, []string{"192.0.2.53"}},
		{"the stub alone", fstest.MapFS{"etc/resolv.conf": file("nameserver 127.0.0.53\n")}, []string{"127.0.0.53"}},
		{"a zone", fstest.MapFS{"etc/resolv.conf": file("nameserver fe80::1%ens3\n")}, []string{"fe80::1%ens3"}},
		{"a server of the machine's own", fstest.MapFS{"etc/resolv.conf": file("nameserver 127.0.0.1\n"), "run/systemd/resolve/resolv.conf": file("nameserver 192.0.2.53\n")}, []string{"127.0.0.1"}},
		{"no end", fstest.MapFS{"etc/resolv.conf": file("nameserver 192.0.2.53\n" + strings.Repeat("#", 1<<20))}, []string{"192.0.2.53"}},
	} {
		if got := Nameservers(tt.fs); !slices.Equal(got, tt.want) {
			t.Errorf("%s: Nameservers = %q; want %q", tt.name, got, tt.want)
		}
	}
}

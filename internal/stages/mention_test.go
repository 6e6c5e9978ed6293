// SPDX-License-Identifier: Apache-2.0

package stages

import "testing"

func TestMention(t *testing.T) {
	const path = "/etc/passwd"
	for _, tt := range []struct {
		text string
		want int
	}{
		{"echo x >>/etc/passwd\n", 1},
		{"#!/bin/sh\necho x >> /etc/passwd", 2},
		{"cp a \"/etc/passwd\"\n", 1},
		{"f='/etc/passwd'; echo x >$f\n", 1},
		{"sed -i s/a/b/ /etc/passwd; :\n", 1},
		{"install -D x (/etc/passwd)\n", 1},
		{"# /etc/passwd\n\t# /etc/passwd\necho a # /etc/passwd\necho >/etc/passwd\n", 4},
		{"echo '# no comment' >/etc/passwd\n", 1},
		{"echo $# >/etc/passwd\n", 1},
		{"cp x /etc/passwd/\n", 1},
		{"cp /etc/passwd- /etc/passwd.bak $ROOT/etc/passwd ${d}/etc/passwd /etc/passwd/x /mnt/etc/passwd /etc/passwd*\n", 0},
		{"cat /etc/passwd-; echo >/etc/passwd\n", 1},
		{"cd /etc; echo x >>passwd\n", 0},
		{"cat <<EOF\n\n/etc/passwd\nEOF\n", 3},
		{"", 0},
	} {
		if got := mention([]byte(tt.text), path); got != tt.want {
			t.Errorf("mention(%q) = %d; want %d", tt.text, got, tt.want)
		}
	}
	for _, tt := range []struct {
		text string
		want int
	}{
		{"systemctl restart sshd\n", 1},
		{"x=1\nservice sshd restart\n", 2},
		{"systemctl start -q sshd.service\n", 1},
		{"vi /etc/ssh/sshd_config; /usr/sbin/sshd -t; systemctl start sshd@a sshd.socket\n", 0},
	} {
		if got := mention([]byte(tt.text), "sshd.service", "sshd"); got != tt.want {
			t.Errorf("mention(%q) of a unit = %d; want %d", tt.text, got, tt.want)
		}
	}
	if got := mention([]byte("a\n"), ""); got != 0 {
		t.Errorf("mention of nothing = %d; want 0", got)
	}
}

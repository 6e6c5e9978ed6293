// SPDX-License-Identifier: Apache-2.0

package relay

// Environment is what leads a script's programs to a relay at HOST:PORT. Each
// name stands in both cases, for programs know one or the other: wget and curl's
// http the lower one, others the upper. By socks5h it is the relay that looks
// names up.
func Environment(addr string) []string {
	var env []string
	for _, v := range [][3]string{
		{"http_proxy", "HTTP_PROXY", "http://" + addr},
		{"https_proxy", "HTTPS_PROXY", "http://" + addr},
		{"all_proxy", "ALL_PROXY", "socks5h://" + addr},
		{"no_proxy", "NO_PROXY", "localhost,127.0.0.1,::1"},
	} {
		env = append(env, v[0]+"="+v[2], v[1]+"="+v[2])
	}
	return env
}

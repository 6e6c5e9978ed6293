// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
)

// Every field of a Spec arrives, byte for byte: one that wireConfig forgot
// would come out empty.
func TestConfigurationTravelsWhole(t *testing.T) {
	odd := "\xff \x00 \n\\\" é"
	sent := config{
		Spec: Spec{
			Root: "/r" + odd, Mirrors: "/i" + odd, Work: "/w" + odd, Context: "/c" + odd, Also: "/m" + odd, Command: []string{"sh", odd, ""}, Else: [][]string{{odd}, {"a", "b"}},
			Env:   []string{"A=" + odd, "B="},
			Show:  []Entry{{Path: "/p" + odd, Kind: ShowFile, Mode: 0o640, UID: 1, GID: 2, Data: []byte(odd), From: odd, Target: odd}},
			Bytes: 1 << 40, Inodes: 2, Processes: 3, Memory: 4,
		},
		Agent: "/a" + odd, Relay: true, Hold: true,
	}
	spec := reflect.ValueOf(sent.Spec)
	for i := range spec.NumField() {
		f := spec.Type().Field(i)
		if f.IsExported() && f.Type.Kind() != reflect.Func && spec.Field(i).IsZero() {
			t.Errorf("this test sends no Spec.%s: give it a value here, and a place in wireConfig", f.Name)
		}
	}
	b, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	var got config
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, sent) {
		t.Errorf("sent %+v; arrived %+v (%v)", sent, got, err)
	}
}

// TestReleaseTravelsWhole: bytes arrive as they are, and what was cut off is no
// release.
func TestReleaseTravelsWhole(t *testing.T) {
	for _, r := range []Release{
		{}, {Env: []string{"A=\xff \n\\\" é"}}, {Env: []string{"A=", "B=1", "C=", ""}},
		{Command: []string{"sh", "", "\xff"}, Env: []string{"A=1"}},
		{Command: []string{"sh"}, Else: [][]string{{"a", ""}, {}, {"2"}}},
	} {
		b := r.bytes()
		got, err := readRelease(bytes.NewReader(b))
		same := slices.Equal(got.Env, r.Env) && slices.Equal(got.Command, r.Command) && slices.EqualFunc(got.Else, r.Else, slices.Equal[[]string])
		if err != nil || !same {
			t.Errorf("sent %+v; arrived %+v, %v", r, got, err)
		}
		for n := range b {
			if got, err := readRelease(bytes.NewReader(b[:n])); !errors.Is(err, errAsked) {
				t.Errorf("%+v, the first %d bytes of %d: %+v, %v; want no release", r, n, len(b), got, err)
			}
		}
	}
}

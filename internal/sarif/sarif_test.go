// SPDX-License-Identifier: Apache-2.0

package sarif

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	var b strings.Builder
	err := Write(&b, Tool{Name: "ctxagent", Version: "1", URI: "https://example.org/", Rules: map[string]string{"known": "a known rule"}}, []Result{
		{Rule: "known", Level: "warning", Message: "in the line", Path: "disc/a b.sh", Line: 3, Column: 7},
		{Rule: "new", Level: "error", Message: "in no file"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var log struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Rules []struct{ ID string }
				}
			}
			Results []struct {
				RuleID, Level string
				Message       struct{ Text string }
				Locations     []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine, StartColumn int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(b.String()), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if log.Version != "2.1.0" || len(run.Tool.Driver.Rules) != 2 || len(run.Results) != 2 || run.Results[1].Locations != nil {
		t.Fatalf("%s", b.String())
	}
	p := run.Results[0].Locations[0].PhysicalLocation
	if p.ArtifactLocation.URI != "disc/a%20b.sh" || p.Region.StartLine != 3 || p.Region.StartColumn != 7 {
		t.Errorf("location %+v", p)
	}
}

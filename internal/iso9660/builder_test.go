// SPDX-License-Identifier: Apache-2.0

package iso9660

import "github.com/ctxagent/ctxagent/test/hostile"

// The parts that the tests below build their images from need not fit together.
const (
	rootAt = hostile.RootAt
	dirAt  = hostile.DirAt
	ceAt   = hostile.CEAt
	dataAt = hostile.DataAt
	total  = hostile.Total
	hello  = hostile.Hello
	good   = hostile.Good
)

// maxFiles is the limit that the tests read with.
const maxFiles = 20_000

type disc = hostile.Disc

var (
	rec   = hostile.Rec
	field = hostile.Field
	sp    = hostile.SP
	nm    = hostile.NM
	px    = hostile.PX
	cl    = hostile.CL
	ce    = hostile.CE
	dir   = hostile.Directory
	ucs2  = hostile.UCS2
	both  = hostile.Both

	rrFile     = hostile.File
	rrDir      = hostile.Dir
	rrDisc     = hostile.RockRidge
	plainDisc  = hostile.Plain
	jolietDisc = hostile.Joliet
)

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"time"
)

// feed writes the configuration and, when hold returns, the release. It returns
// hold's error, unless the end of ctx is behind it: that has its own cause. If
// init is gone, its end says more than EPIPE.
func (p *process) feed(ctx context.Context, conf []byte, hold func(context.Context) (Release, error), res *Result) error {
	defer p.conf.Close() // without a release, init ends
	_, _ = p.conf.Write(conf)
	if hold == nil {
		return nil
	}
	r, err := hold(ctx)
	if err != nil && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	res.Released = time.Now()
	_, _ = p.conf.Write(r.bytes())
	_ = p.conf.Close() // init reads to the end
	if r.Then != nil {
		r.Then()
	}
	return nil
}

// awaitRelease waits for the agent's word; the end of the pipe means that there
// will be none.
func (in *inside) awaitRelease() error {
	in.send(message{Confined: true})
	if !in.conf.Hold {
		return nil
	}
	_, _ = in.start("/nowhere/") // what the first start has to touch, a program's second has at hand
	r, err := readRelease(in.config)
	if err != nil {
		return err
	}
	in.conf.Spec.Env = append(in.conf.Spec.Env, r.Env...)
	if len(r.Command) == 0 {
		return nil
	}
	in.conf.Spec.Command, in.conf.Spec.Else = r.Command, r.Else
	return in.findCommand()
}

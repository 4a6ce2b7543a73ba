package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// operation is one that runs on a WebSocket. A subscription that has nothing to send is no goroutine: wake starts one.
type operation struct {
	socket *socket
	id     string
	ctx    context.Context
	cancel context.CancelFunc
	source Subscription
	state  atomic.Int32 // of the goroutine that sends

	sending sync.Mutex
	done    bool // guarded by sending: nothing may be sent any more
}

const (
	idle int32 = iota
	busy
	busyAndWoken
)

func listOf(err error) gqlerror.List { return gqlerror.List{gqlerror.Wrap(err)} }

func (o *operation) begin(params *graphql.RawParams) {
	exec := o.socket.exec
	ctx := graphql.StartOperationTrace(o.ctx)
	operation, errs := prepare(ctx, params, exec)
	if errs != nil {
		o.refuse(exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs))
		return
	}
	if operation.Operation.Operation != ast.Subscription {
		ctx, cancel := context.WithTimeout(ctx, o.socket.hub.limits.Operation)
		defer cancel()
		response, isRequestError := dispatch(ctx, operation, exec)
		if isRequestError {
			o.refuse(response)
			return
		}
		o.sendBody(Encode(o.ctx, response, false))
		o.finish("complete", nil)
		return
	}
	o.state.Store(busy)
	source, refused := o.socket.caller.Subscribe(ctx, operation, "", o.wake)
	if refused != nil {
		o.refuse(refused)
		return
	}
	o.sending.Lock()
	o.source = source
	done := o.done
	o.sending.Unlock()
	if done { // it was ended in the meantime
		source.Close()
		return
	}
	o.drain()
}

// wake makes sure that somebody sends.
func (o *operation) wake() {
	for {
		switch state := o.state.Load(); state {
		case idle:
			if o.state.CompareAndSwap(idle, busy) {
				o.socket.hub.run(o.drain)
				return
			}
		case busy:
			if o.state.CompareAndSwap(busy, busyAndWoken) {
				return
			}
		default:
			return
		}
	}
}

// drain sends all there is.
func (o *operation) drain() {
	for o.ctx.Err() == nil {
		results, end := o.source.Next(o.ctx)
		for _, r := range results {
			if !o.sendBody(r.Body) {
				return
			}
		}
		if end != nil {
			o.refuse(end)
			return
		}
		if len(results) == 0 {
			if o.state.CompareAndSwap(busy, idle) {
				return
			}
			o.state.Store(busy)
		}
	}
}

// buffers hold messages on their way out.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// head writes the beginning of a message of this operation.
func (o *operation) head(into *bytes.Buffer, kind string) {
	id, _ := json.Marshal(o.id) // a string has a JSON form
	into.WriteString(`{"id":`)
	into.Write(id)
	into.WriteString(`,"type":"` + kind + `"`)
}

func (o *operation) sendBody(body []byte) bool {
	o.sending.Lock()
	defer o.sending.Unlock()
	if o.done || o.ctx.Err() != nil {
		return false
	}
	text := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(text)
	text.Reset()
	o.head(text, "next")
	text.WriteString(`,"payload":`)
	text.Write(body)
	text.WriteByte('}')
	return o.socket.write(text.Bytes())
}

// refuse ends the operation with errors; nothing follows them.
func (o *operation) refuse(response *graphql.Response) {
	errs, err := json.Marshal(response.Errors)
	if err != nil || len(response.Errors) == 0 {
		errs = []byte(`[{"message":"internal error","extensions":{"code":"INTERNAL"}}]`)
	}
	o.finish("error", errs)
}

// finish sends the last message, unless the operation has ended. The id is free before the client can know.
func (o *operation) finish(kind string, payload []byte) {
	o.sending.Lock()
	if !o.done && o.ctx.Err() == nil {
		o.socket.free(o)
		var text bytes.Buffer
		o.head(&text, kind)
		if payload != nil {
			text.WriteString(`,"payload":`)
			text.Write(payload)
		}
		text.WriteByte('}')
		o.socket.write(text.Bytes())
	}
	o.sending.Unlock()
	o.stop()
}

// stop ends the operation without a word.
func (o *operation) stop() {
	o.cancel()
	o.sending.Lock()
	first := !o.done
	o.done = true
	source := o.source
	o.sending.Unlock()
	if first && source != nil {
		source.Close()
	}
}

// free lets the client use the operation's id again, if it is the operation's.
func (s *socket) free(o *operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[o.id] == o {
		delete(s.operations, o.id)
	}
}

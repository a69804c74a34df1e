// Command apiproxy stands between one client and the Kubernetes API server
// and breaks what a test asks it to break: plain HTTP in, HTTPS out, the
// client's own bearer token passed on.
//
// The test PUTs a whole set of faults (JSON, see Faults) to the control
// address; the set takes effect at once, for requests and watches under way
// too. GET there answers what has been seen (see Seen).
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
)

// Faults is what is broken now. The zero value breaks nothing.
type Faults struct {
	// Cut ends every connection without a word, as a dead API server does.
	Cut bool `json:"cut"`
	// FreezeWatches lets no byte of any watch through. They resume when lifted.
	FreezeWatches bool `json:"freezeWatches"`
	// FreezeReads holds every GET, LIST and watch before it is sent.
	FreezeReads bool `json:"freezeReads"`
	// HoldWrites keeps a PATCH, PUT or POST whose path contains this text
	// until the fault is lifted, then sends it, whether or not the client
	// still waits: as a network does that delays.
	HoldWrites string `json:"holdWrites"`
	// Status answers every request with this code instead of passing it on.
	Status int `json:"status"`
	// StatusPath limits Status to paths that contain this text.
	StatusPath string `json:"statusPath"`
	// ExpireWatches answers a watch with an ERROR event of code 410, once each.
	ExpireWatches bool `json:"expireWatches"`
	// TruncateWatches ends each watch in the middle of an event.
	TruncateWatches bool `json:"truncateWatches"`
}

// Seen is what has come by since the start.
type Seen struct {
	Requests int `json:"requests"`
	// Lists and Watches counts them by path.
	Lists   map[string]int `json:"lists"`
	Watches map[string]int `json:"watches"`
	// Held is how many writes are kept back now.
	Held int `json:"held"`
	// Writes are the writes passed on, in order, with the answer's status.
	Writes []Write `json:"writes"`
}

// Write is one write passed on.
type Write struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Status int    `json:"status"`
}

type proxy struct {
	onward *httputil.ReverseProxy

	mu      sync.Mutex
	faults  Faults
	changed chan struct{} // closed, and replaced, at each change of faults
	seen    Seen
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8001", "where the client comes in, plain HTTP")
	control := flag.String("control", "127.0.0.1:9001", "where the test sets faults")
	upstream := flag.String("upstream", "", "the API server, https://…")
	authority := flag.String("authority", "", "file with the API server's certificate and its signer")
	flag.Parse()

	p, err := newProxy(*upstream, *authority)
	if err != nil {
		fmt.Fprintln(os.Stderr, "apiproxy:", err)
		os.Exit(2)
	}
	go func() { log.Fatal(http.ListenAndServe(*control, http.HandlerFunc(p.control))) }()
	log.Fatal(http.ListenAndServe(*listen, p))
}

func newProxy(upstream, authority string) (*proxy, error) {
	target, err := url.Parse(upstream)
	if err != nil {
		return nil, err
	}
	certificates, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("%s holds no certificate", authority)
	}
	p := &proxy{changed: make(chan struct{})}
	p.seen.Lists, p.seen.Watches = map[string]int{}, map[string]int{}
	p.onward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots},
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 16,
		},
		FlushInterval:  -1, // each event of a watch at once
		ModifyResponse: p.answer,
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) {
			log.Print("upstream: ", err)
			panic(http.ErrAbortHandler) // a dead server sends no 502
		},
	}
	return p, nil
}

// now answers the faults in force and the channel that closes when they change.
func (p *proxy) now() (Faults, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults, p.changed
}

func isWatch(r *http.Request) bool {
	w := r.URL.Query().Get("watch")
	return w == "true" || w == "1"
}

func isWrite(r *http.Request) bool {
	return r.Method == http.MethodPatch || r.Method == http.MethodPut || r.Method == http.MethodPost
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.count(r)
	r, w, passes := p.admit(w, r)
	if !passes {
		return
	}
	// Cut ends what is under way, too. A write that was held has left its client's context behind.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		for {
			faults, changed := p.now()
			if faults.Cut {
				cancel()
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	p.onward.ServeHTTP(w, r.WithContext(ctx))
}

// admit waits as long as the faults in force say, and answers whether the
// request goes on, and as what.
func (p *proxy) admit(w http.ResponseWriter, r *http.Request) (*http.Request, http.ResponseWriter, bool) {
	held := false
	defer func() {
		if held {
			p.mu.Lock()
			p.seen.Held--
			p.mu.Unlock()
		}
	}()
	for {
		faults, changed := p.now()
		switch {
		case faults.Cut:
			panic(http.ErrAbortHandler)
		case faults.Status != 0 && strings.Contains(r.URL.Path, faults.StatusPath):
			refuse(w, faults.Status)
			return r, w, false
		case faults.ExpireWatches && isWatch(r):
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintln(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1 (2)","reason":"Expired","code":410}}`)
			return r, w, false
		case faults.HoldWrites != "" && isWrite(r) && strings.Contains(r.URL.Path, faults.HoldWrites):
			if !held {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					panic(http.ErrAbortHandler)
				}
				r = r.WithContext(context.WithoutCancel(r.Context()))
				r.Body = io.NopCloser(bytes.NewReader(body))
				w = plainWriter{w} // hides the client's going from ReverseProxy
				held = true
				p.mu.Lock()
				p.seen.Held++
				p.mu.Unlock()
			}
			<-changed
		case faults.FreezeReads && r.Method == http.MethodGet:
			select {
			case <-changed:
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		default:
			return r, w, true
		}
	}
}

type plainWriter struct{ http.ResponseWriter }

// refuse answers as the API server does when it refuses.
func refuse(w http.ResponseWriter, code int) {
	reason := map[int]string{
		410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 403: "Forbidden",
	}[code]
	w.Header().Set("Content-Type", "application/json")
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"made by the test","reason":%q,"code":%d}`, reason, code)
}

// answer looks at what the API server says before the client gets it.
func (p *proxy) answer(response *http.Response) error {
	r := response.Request
	switch {
	case isWatch(r):
		response.Body = &watchBody{ReadCloser: response.Body, p: p, ctx: r.Context()}
	case isWrite(r):
		p.mu.Lock()
		p.seen.Writes = append(p.seen.Writes, Write{r.Method, r.URL.Path, response.StatusCode})
		p.mu.Unlock()
	}
	return nil
}

func (p *proxy) count(r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen.Requests++
	switch {
	case isWatch(r):
		p.seen.Watches[r.URL.Path]++
	case r.Method == http.MethodGet:
		p.seen.Lists[r.URL.Path]++
	}
}

// watchBody is the stream of a watch, which faults may stop, cut or garble.
type watchBody struct {
	io.ReadCloser
	p   *proxy
	ctx context.Context
}

func (b *watchBody) Read(buffer []byte) (int, error) {
	n, err := b.ReadCloser.Read(buffer)
	for {
		faults, changed := b.p.now()
		if faults.TruncateWatches && n > 1 {
			return n / 2, io.EOF
		}
		if !faults.FreezeWatches {
			return n, err
		}
		select {
		case <-changed:
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
}

// control is the test's side: PUT replaces the faults, GET answers what was seen.
func (p *proxy) control(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Method == http.MethodPut {
		var faults Faults
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&faults); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.faults = faults
		close(p.changed)
		p.changed = make(chan struct{})
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(p.seen); err != nil {
		log.Print("control: ", err)
	}
}

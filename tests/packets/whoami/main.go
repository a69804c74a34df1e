// Command whoami stands in for the image containous/whoami of the article: a
// web server that says who it is and whom it sees. It is the pod at the far
// end of every test of packets.
//
//	/              Hostname, IP, RemoteAddr and the request, a line each
//	/?wait=2s      the same, after that long: a request under way
//	/hold          a long connection: after the head of the answer
//	               (101, Upgrade: echo) one line "Hostname: …", from then on
//	               every line that comes is sent back
//	/health        200, or what was POSTed there last: "503"
//
// What a pod does on SIGTERM decides what its clients lose, so it is chosen:
//
//	--on-term=exit    ends at once; its connections are reset
//	--on-term=drain   refuses new connections, ends what is under way, and
//	                  keeps long ones until they end by themselves
//	--on-term=ignore  goes on as if nothing were, until SIGKILL
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// held counts the long connections, which http.Server forgets when it gives
// them away.
var held sync.WaitGroup

func main() {
	port := flag.Int("port", 80, "where to listen, on all addresses of both families")
	onTerm := flag.String("on-term", "exit", "exit, drain or ignore")
	flag.Parse()
	if *onTerm != "exit" && *onTerm != "drain" && *onTerm != "ignore" {
		log.Fatalf("--on-term=%s: it must be exit, drain or ignore", *onTerm)
	}
	hostname, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { answer(w, r, hostname) })
	mux.HandleFunc("/hold", func(w http.ResponseWriter, r *http.Request) { hold(w, hostname) })
	mux.HandleFunc("/health", health)
	server := &http.Server{Addr: ":" + strconv.Itoa(*port), Handler: mux}

	// As the first process of its container it gets no signal that it does not
	// ask for, so "ignore" is what a program without a handler does.
	terms := make(chan os.Signal, 1)
	if *onTerm == "ignore" {
		signal.Ignore(syscall.SIGTERM)
	} else {
		signal.Notify(terms, syscall.SIGTERM)
	}
	ended := make(chan struct{})
	go func() {
		<-terms
		if *onTerm == "exit" {
			os.Exit(0)
		}
		// A request under way is waited for by the server, a long one by us.
		if err := server.Shutdown(context.Background()); err != nil {
			log.Print(err)
		}
		held.Wait()
		close(ended)
	}()

	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-ended
}

// answer writes the lines that the article's whoami writes, in its order.
func answer(w http.ResponseWriter, r *http.Request, hostname string) {
	if wait := r.URL.Query().Get("wait"); wait != "" {
		pause, err := time.ParseDuration(wait)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		time.Sleep(pause)
	}
	var text strings.Builder
	fmt.Fprintln(&text, "Hostname:", hostname)
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok {
			fmt.Fprintln(&text, "IP:", network.IP)
		}
	}
	fmt.Fprintln(&text, "RemoteAddr:", r.RemoteAddr)
	if err := r.Write(&text); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	io.WriteString(w, text.String())
}

// hold takes the connection over and echoes lines until the client ends it.
func hold(w http.ResponseWriter, hostname string) {
	held.Add(1)
	defer held.Done()
	connection, stream, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer connection.Close()
	fmt.Fprintf(stream, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nHostname: %s\n", hostname)
	for {
		if stream.Flush() != nil {
			return
		}
		line, err := stream.ReadString('\n')
		if err != nil {
			return
		}
		stream.WriteString(line)
	}
}

// status is what /health answers.
var status atomic.Int32

func health(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		line, _ := bufio.NewReader(r.Body).ReadString('\n')
		code, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || code < 200 || code > 599 {
			http.Error(w, "a status of three digits is wanted", http.StatusBadRequest)
			return
		}
		status.Store(int32(code))
	}
	if code := status.Load(); code != 0 {
		w.WriteHeader(int(code))
	}
}

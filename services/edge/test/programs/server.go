// go run server.go PORT: the answers of app.py.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		length, _ := io.Copy(io.Discard, r.Body)
		switch {
		case strings.HasSuffix(r.URL.Path, "/hello"):
			fmt.Fprint(w, "hello")
		case strings.HasSuffix(r.URL.Path, "/stream"):
			for range 300 {
				fmt.Fprint(w, strings.Repeat("x", 1000))
				w.(http.Flusher).Flush()
			}
		case strings.HasSuffix(r.URL.Path, "/length") && r.Method == "POST":
			fmt.Fprint(w, length)
		default:
			w.WriteHeader(404)
			fmt.Fprint(w, "missing")
		}
	}
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(handler)))
}

#!/usr/bin/env bash
# RetryWaitMax does not bound what go-retryablehttp waits: Retry-After: 86400 is a goroutine that sleeps for a day.
#
# github.com/hashicorp/go-retryablehttp v0.7.8. The field's comment is "Maximum time to wait", and DefaultBackoff "will
# perform exponential backoff … limited by the provided minimum and maximum durations". With a 429 or 503 that
# has a Retry-After, it sleeps for that long (as the comment goes on to say), and the maximum does not hold. Nor does
# HTTPClient.Timeout, which is for each try alone.
# Why it matters: IP-data APIs count by the day or month, and say so in Retry-After. A job with this client does not
# fail, log or fall back to another key: it stands still until midnight. A proxy in front that passes the field on
# brings this about.
# Instead: a Backoff of your own that takes the smaller of the two, and a context with a deadline on each request.
#
# Needs: go (1.24 or newer).
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOPATH="$dir/go" GOFLAGS="-modcacherw -mod=mod"

cat >main.go <<'EOF'
package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

func main() {
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tries++
		if tries == 1 {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()

	client := retryablehttp.NewClient()
	client.Logger = nil
	client.RetryWaitMin = 10 * time.Millisecond
	client.RetryWaitMax = 100 * time.Millisecond
	client.HTTPClient.Timeout = time.Second
	began := time.Now()
	response, err := client.Get(server.URL)
	took := time.Since(began)

	day := &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"86400"}}}
	wait := retryablehttp.DefaultBackoff(time.Second, 30*time.Second, 0, day)

	fmt.Println("github.com/hashicorp/go-retryablehttp v0.7.8")
	fmt.Println("expected: a wait of RetryWaitMax (100ms) at most; 30s for DefaultBackoff(1s, 30s, …)")
	fmt.Printf("seen:     Retry-After 3: waited %s, error %v; Retry-After 86400: %s\n", took.Round(100*time.Millisecond), err, wait)
	if err == nil && response.StatusCode == 200 && took > 2*time.Second && wait == 24*time.Hour {
		fmt.Println("as recorded")
		return
	}
	fmt.Println("CHANGED")
	os.Exit(1)
}
EOF
go mod init finding 2>/dev/null
go get github.com/hashicorp/go-retryablehttp@v0.7.8 2>/dev/null
go mod tidy 2>/dev/null
go run .

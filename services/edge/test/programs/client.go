// go run client.go URL [CA]: the answers to a GET and to a POST.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	transport := &http.Transport{ForceAttemptHTTP2: true}
	if len(os.Args) > 2 {
		pem, _ := os.ReadFile(os.Args[2])
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	client := http.Client{Transport: transport}
	for _, body := range []string{"", strings.Repeat("x", 100_000)} {
		method := "GET"
		if body != "" {
			method = "POST"
		}
		req, _ := http.NewRequest(method, os.Args[1], strings.NewReader(body))
		res, err := client.Do(req)
		if err != nil {
			panic(err)
		}
		text, _ := io.ReadAll(res.Body)
		fmt.Println(strings.TrimSpace(string(text)))
	}
}

// net/http of Go: its transport keeps connections, waits for 100 (Continue), and sends bodies of unknown length chunked.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type unsized struct{ io.Reader }

func main() {
	base := os.Args[1]
	pem, err := os.ReadFile(os.Args[2])
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{
		Timeout: 60 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:       &tls.Config{RootCAs: roots},
			ForceAttemptHTTP2:     true,
			ExpectContinueTimeout: 20 * time.Second,
		},
	}
	body := make([]byte, 200000)
	for i := range body {
		body[i] = byte(i % 251)
	}
	out := map[string]any{}
	ask := func(name, method, path string, sent io.Reader, expect bool) {
		request, err := http.NewRequest(method, base+path, sent)
		check(err)
		if expect {
			request.Header.Set("Expect", "100-continue")
		}
		got, err := client.Do(request)
		check(err)
		content, err := io.ReadAll(got.Body)
		check(err)
		got.Body.Close()
		sum := sha256.Sum256(content)
		out[name] = []any{got.StatusCode, hex.EncodeToString(sum[:])}
	}
	ask("small", "GET", "/bytes?n=10", nil, false)
	ask("large", "GET", "/bytes?n=1048576", nil, false)
	ask("head", "HEAD", "/bytes?n=1000", nil, false)
	ask("post", "POST", "/echo", bytes.NewReader(body), false)
	ask("expect", "PUT", "/echo", bytes.NewReader(body), true)
	ask("chunked", "PUT", "/echo", unsized{bytes.NewReader(body)}, false)
	ask("delete", "DELETE", "/gone", nil, false)
	ask("missing", "GET", "/status/404", nil, false)
	ask("redirected", "GET", "/moved", nil, false)
	kept := []string{}
	for i := 0; i < 50; i++ {
		got, err := client.Get(fmt.Sprintf("%s/number/%d", base, i))
		check(err)
		content, err := io.ReadAll(got.Body)
		check(err)
		got.Body.Close()
		kept = append(kept, string(content))
	}
	out["kept"] = kept
	check(json.NewEncoder(os.Stdout).Encode(out))
}

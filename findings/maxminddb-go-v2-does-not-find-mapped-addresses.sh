#!/usr/bin/env bash
# The same Go code finds an IPv4 address with maxminddb v1, and nothing with v2.
#
# github.com/oschwald/maxminddb-golang v1.13.1 and /v2 v2.9.0. v1 takes a net.IP, and net.ParseIP returns IPv4 addresses
# in 16 bytes; v1 unwraps them. v2 takes a netip.Addr. The obvious bridge, netip.AddrFromSlice(ip), makes
# ::ffff:8.8.8.8 of them, and v2 walks the IPv6 tree with it: found is false, and there is no error. Whether a mapped
# address is there at all is up to the maker of the database: those of MaxMind alias ::ffff:0:0/96 to the IPv4 tree, and
# the public ones below do not. The readers for Python and Node find nothing either.
# Why it matters: addresses of dual-stack sockets arrive in this form (::ffff:a.b.c.d). An upgrade, or another database,
# turns every answer into "not known" without an error.
# Instead: Unmap() each address before the look-up, and put it into the cache's key unmapped.
#
# Needs: go (1.24 or newer), node (20 or newer) with npm for the database.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOPATH="$dir/go" GOFLAGS="-modcacherw -mod=mod"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . @ip-location-db/geolite2-country-mmdb@2.3.2026061719

cat >main.go <<'EOF'
package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	v1 "github.com/oschwald/maxminddb-golang"
	v2 "github.com/oschwald/maxminddb-golang/v2"
)

type record struct {
	Country string `maxminddb:"country_code"`
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	file := os.Args[1]
	ip := net.ParseIP("8.8.8.8")

	old, err := v1.Open(file)
	must(err)
	var inOld record
	must(old.Lookup(ip, &inOld))

	current, err := v2.Open(file)
	must(err)
	addr, _ := netip.AddrFromSlice(ip)
	mapped := current.Lookup(addr)
	var inMapped, inUnmapped record
	must(mapped.Decode(&inMapped))
	must(current.Lookup(addr.Unmap()).Decode(&inUnmapped))

	fmt.Println("github.com/oschwald/maxminddb-golang v1.13.1 and v2.9.0")
	fmt.Println("expected: US from both for net.ParseIP(\"8.8.8.8\")")
	fmt.Printf("seen:     v1 %q; v2 %q, found %v, prefix %s; v2 after Unmap() %q\n",
		inOld.Country, inMapped.Country, mapped.Found(), mapped.Prefix(), inUnmapped.Country)
	if inOld.Country == "US" && inMapped.Country == "" && mapped.Err() == nil && inUnmapped.Country == "US" {
		fmt.Println("as recorded")
		return
	}
	fmt.Println("CHANGED")
	os.Exit(1)
}
EOF
go mod init finding 2>/dev/null
go get github.com/oschwald/maxminddb-golang@v1.13.1 github.com/oschwald/maxminddb-golang/v2@v2.9.0 2>/dev/null
go mod tidy 2>/dev/null
go run . node_modules/@ip-location-db/geolite2-country-mmdb/geolite2-country.mmdb

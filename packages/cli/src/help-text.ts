export const helpText = `Usage: npm run bulk -- [FILE…] [-o FILE] [options]

Looks up lists of IP addresses: one result for each input, in the order of the inputs. Without a FILE, or with -,
the list is read from standard input; without -o the results are written to standard output.

  npm run bulk -- ips.txt -o out.ndjson
  npm run bulk -- visits.csv.gz --fields country,org -o visits-out.csv
  npm run bulk -- access.log --extract all --fields country --for excel -o hits.csv
  cut -d' ' -f1 access.log | npm run --silent bulk -- - --json | head

Input is read by its content: lines, CSV (commas, semicolons, tabs, bars; titles and comments before the header), NDJSON,
JSON, logs; UTF-8 or UTF-16; .gz, .zst and .br are unpacked. Rows of tables and objects keep what they have.
  --input-format FORM  lines, csv, ndjson or json, whatever the content
  --column NAME        with the addresses: of a table by its name or its number from 1, of objects a path (client.ip)
  --extract WHICH      takes addresses out of other text: first or all, which makes a row for each
  --networks HOW       of 9.0.0.0/24 and 9.0.0.1-9.0.0.9: expand (default, up to 65536 addresses each) or first

Output:
  -o, --output FILE    where the results go; a file that is there is kept unless --force or this command left it
  --format FORM        ndjson, csv, tsv or json; default: by the name of the output (also .csv.gz), else ndjson
  --fields A,B.C       only these members of a record
  --prefix TEXT        before the names of all added columns; default: ip_ before those that the list has too
  --for excel          CSV that Excel opens: UTF-8 is recognised, 02139 keeps its zero, formulas are not run
  --force              overwrites an output file that is there

Where it is asked:
  --url URL            of the fleet, default http://localhost:8080 (IPFLEET_URL). If the fleet takes jobs, the list is
                       handed over as one; else it is asked in batches. Without --url, and where no fleet answers, a
                       fleet of one is started for the time of the run (with IPINFO_KEYS, or the embedded database)
  --token TOKEN        a client's token of that fleet (better: IPFLEET_TOKEN or IPFLEET_TOKEN_FILE)
  --job ID             uploads nothing, but fetches the results of a job that is there
  --cancel-on-exit     Ctrl-C cancels the job too

An interrupted run leaves FILE.ipfleet.json beside its output: the same command again goes on where it ended.
  --resume             goes on, and refuses to begin anew
  --no-resume          begins anew

  --json               progress and summary on standard error as JSON, one object a line
  --quiet              nothing on standard error but what went wrong
  -h, --help           this text
  --version            prints the version

Exit codes: 0 every input has its result, those that are no addresses have an error; 1 it failed, or nothing is an
address; 2 the command line
or the files are not as they should be; 3 every input has its line, but some of them say that a look-up failed;
130 Ctrl-C, 143 SIGTERM.
`

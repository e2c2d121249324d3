export const helpText = `Usage: npm run bulk -- [FILE…] [-o FILE] [options]

Looks up lists of IP addresses: one result for each input, in the order of the inputs. Without a FILE, or with -,
the list is read from standard input; without -o the results are written to standard output.

  npm run bulk -- ips.txt -o out.ndjson
  npm run --silent bulk -- visits.csv.gz --column ip --fields city,asn.name --format csv > out.csv
  cut -d' ' -f1 access.log | npm run --silent bulk -- - --json | head

Input, told by the file's name (.csv .ndjson .jsonl .json, else plain lines; .gz is unpacked):
  --input-format FORM  lines, csv, ndjson or json, whatever the name
  --column NAME        of a CSV: the column with the addresses, by its name or its number from 1

Output:
  -o, --output FILE    where the results go; a file that is there is kept unless --force or this command left it
  --format FORM        ndjson, csv or json; default: by the name of the output, else ndjson
  --fields A,B.C       only these members of a record
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

Exit codes: 0 every input has its result, those that are no addresses have an error; 1 it failed; 2 the command line
or the files are not as they should be; 3 every input has its line, but some of them say that a look-up failed;
130 Ctrl-C, 143 SIGTERM.
`

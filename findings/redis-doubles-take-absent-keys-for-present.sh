#!/usr/bin/env bash
# A key that does not exist is true to a Lua script that reads it by MGET or HMGET in ioredis-mock and jedis-mock.
#
# ioredis-mock 8.13.1 (npm), jedis-mock 1.1.11 (Maven) and fakeredis 2.41.0 (PyPI) stand in for Redis in tests and run its
# Lua scripts. In Redis an absent value is false in Lua, whatever has read it: "if held[1] then" tells a lock that is held
# from one that is free. jedis-mock gives '' for it, and ioredis-mock a userdata (null), both of which are true in Lua, but
# only where MGET or HMGET has read it: with GET all three are right, and so fakeredis is throughout. In both, the reply of
# SET has no field ok either, which scripts ask after SET … NX.
# Why it matters: a script that takes several locks at once finds all of them held, or its test passes because it is never
# granted one. The same script with GET in a loop passes.
# Instead: test scripts against a redis-server (its start takes some milliseconds), or write "held[1] == ARGV[1]" and the
# like, which is right everywhere.
#
# Needs: redis-server with redis-cli, node (20 or newer) with npm, java (17 or newer) with mvn, python3 (3.10 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . ioredis@5.10.1 ioredis-mock@8.13.1
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check 'fakeredis[lua]==2.41.0'
cat >pom.xml <<'EOF'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>com.github.fppt</groupId><artifactId>jedis-mock</artifactId><version>1.1.11</version></dependency>
  </dependencies>
</project>
EOF
mvn -q dependency:copy-dependencies -DoutputDirectory=jars >mvn.log 2>&1 || { tail mvn.log; exit 1; }

cat >locks.lua <<'EOF'
local function word(value) return value and 'held' or 'free' end
local single, several = redis.call('GET', 'none'), redis.call('MGET', 'none')
local field = redis.call('HMGET', 'none', 'f')
local set = redis.call('SET', 'some', '1')
return 'GET ' .. word(single) .. ', MGET ' .. word(several[1]) .. ', HMGET ' .. word(field[1]) .. ', SET ' ..
  (type(set) == 'table' and tostring(set.ok) or type(set))
EOF
redis-server --port 0 --unixsocket "$dir/redis" --save '' >redis.log &
pids+=($!)
for _ in $(seq 100); do [ -S redis ] && break; sleep 0.1; done
cat >finding.mjs <<'EOF'
import { readFileSync } from 'node:fs'
import RedisMock from 'ioredis-mock'
console.log(await new RedisMock().eval(readFileSync('locks.lua', 'utf8'), 0))
process.exit()
EOF
cat >finding.py <<'EOF'
import fakeredis
print(fakeredis.FakeRedis(decode_responses=True).eval(open('locks.lua').read(), 0))
EOF
cat >Finding.java <<'EOF'
import com.github.fppt.jedismock.RedisServer;
import java.nio.file.*;
import redis.clients.jedis.Jedis;
public class Finding {
  public static void main(String[] args) throws Exception {
    RedisServer server = RedisServer.newRedisServer().start();
    try (Jedis jedis = new Jedis(server.getHost(), server.getBindPort(), 120_000)) {
      System.out.println(jedis.eval(Files.readString(Path.of("locks.lua"))));
    } finally {
      System.exit(0);
    }
  }
}
EOF
real=$(redis-cli -s redis --eval locks.lua)
ioredis_mock=$(node finding.mjs)
fake=$(python/bin/python finding.py)
jedis_mock=$(java -cp 'jars/*' Finding.java 2>java.log)
echo 'ioredis-mock 8.13.1, jedis-mock 1.1.11, fakeredis 2.41.0'
echo "expected: $real, as $(redis-server --version | grep -o 'v=[0-9.]*' | sed 's/v=/Redis /') says"
echo "seen:     fakeredis: $fake"
echo "seen:     ioredis-mock: $ioredis_mock"
echo "seen:     jedis-mock: $jedis_mock"
[[ $real == 'GET free, MGET free, HMGET free, SET OK' && $fake == "$real" &&
  $ioredis_mock == 'GET free, MGET held, HMGET held, SET '* && $ioredis_mock != *OK &&
  $jedis_mock == 'GET free, MGET held, HMGET held, SET string' ]] || { echo CHANGED; exit 1; }
echo 'as recorded'

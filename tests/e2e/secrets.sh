#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Secrets in a real guest: the guest has a placeholder, the server the secret.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/host_servers.sh"
real="sk-real-$RANDOM$RANDOM$RANDOM"
cd "$W" || exit 1
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-days 9 -subj /CN=world -keyout ca.key -out ca.crt
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj /CN=x -keyout srv.key -out srv.csr
	echo "subjectAltName=DNS:host.cove.internal" >ext
	openssl x509 -req -in srv.csr -CA ca.crt -CAkey ca.key \
		-CAcreateserial -days 9 -extfile ext -out srv.crt
} >/dev/null 2>&1
mkdir -p "$COVE_HOME/config"
cp ca.crt "$COVE_HOME/config/extra-ca.pem"
cat >server.py <<'END'
import http.server, ssl
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        with open("seen", "a") as f:
            f.write(f"{self.path} {self.headers.get('X-Key')}\n")
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")
    def log_message(self, *a):
        pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain("srv.crt", "srv.key")
# The handshake is the connection's, not the listener's.
s.socket = c.wrap_socket(s.socket, server_side=True, do_handshake_on_connect=False)
print(s.server_address[1], flush=True)
s.serve_forever()
END
touch seen
python3 server.py >"$T/port" &
server=$!
port=$(port_in "$T/port")
h2=$(free_ports 1)
cat >nginx.conf <<END
daemon off; master_process off; pid nginx.pid; error_log nginx.log;
events { worker_connections 64; }
http { access_log off; client_body_temp_path .; proxy_temp_path .;
fastcgi_temp_path .; uwsgi_temp_path .; scgi_temp_path .;
server { listen 127.0.0.1:$h2 ssl http2; ssl_certificate srv.crt;
ssl_certificate_key srv.key; location / {
return 200 "\$http2 \$http_x_key"; } } }
END
[ "$(id -u)" != 0 ] || sed -i '1s/^/user root; /' nginx.conf
nginx -c "$W/nginx.conf" -p "$W/" 2>/dev/null &
nginx=$!
wait_for 60 bash -c "</dev/tcp/127.0.0.1/$h2"
trap 'kill $server $nginx; cleanup' EXIT
url=https://host.cove.internal:$port
C() { timeout 600 "$COVE" "$@" </dev/null 2>&1; }
X() { C exec box "$@"; }

C policy allow "host:$port" >/dev/null
C policy allow "host:$h2" >/dev/null
ok "a secret is set from a pipe" sh -c "printf %s '$real' | '$COVE' secret \
	set-custom --host host.cove.internal --env MY_KEY --header X-Key"
like "it is listed without its value" "$(C secret ls)" \
	'my-key +custom +all +MY_KEY +host.cove.internal'
is "no file holds it" "$(grep -rl "$real" "$COVE_HOME" --exclude-dir=cache)" ""

# Import. Nothing that it says holds a value.
imported() { env -i PATH="$PATH" HOME="$HOME" COVE_HOME="$COVE_HOME" \
	COVE_LIBEXEC="$COVE_LIBEXEC" "$@" </dev/null 2>&1; }
import="$COVE secret import"
status "without a terminal it needs a word" 1 \
	imported OPENAI_API_KEY="$real" $import
like "which it names" "$(imported OPENAI_API_KEY="$real" $import)" "[-]-all"
like "nothing to import" "$(imported $import --all)" "no variable of a known"
like "a dry run" "$(imported GH_TOKEN="$real" $import --all --dry-run)" \
	"^github: GH_TOKEN: would be set$"
is "sets nothing" "$(C secret ls -q)" my-key
is "a service from the environment" "$(imported OPENAI_API_KEY="$real" \
	GH_TOKEN="$real" $import openai)" "openai: OPENAI_API_KEY: set"
cat >.env <<END
# keys of the test
export ANTHROPIC_API_KEY="$real"
OPENAI_API_KEY='other'   # another
GROQ_API_KEY=cove-secret-groq
MINE=1
END
is "all of a file, but what is set and what is a placeholder" \
	"$(imported $import --from .env --all | sort)" \
	"anthropic: ANTHROPIC_API_KEY: set
openai: OPENAI_API_KEY: kept, as it is set (--force replaces it)"
like "by force" "$(imported $import --from .env --force openai)" \
	"^openai: OPENAI_API_KEY: replaced$"
like "an unknown service" "$(imported $import nobody)" "no service 'nobody'"
echo 'A="open' >broken.env
like "a broken file names its line" \
	"$(imported $import --from broken.env --all)" "broken.env: line 1 "
is "three are set" "$(C secret ls -q | sort | tr '\n' ' ')" \
	"anthropic my-key openai "
is "no file holds them" "$(grep -rl "$real" "$COVE_HOME" \
	--exclude-dir=cache)" ""
C secret rm anthropic openai >/dev/null

C create --name box shell >/dev/null
# shellcheck disable=SC2016
is "the guest has the placeholder" "$(X sh -c 'echo $MY_KEY')" \
	cove-secret-my-key
# shellcheck disable=SC2016
is "curl" "$(X sh -c "curl -sS -m 120 -H \"X-Key: \$MY_KEY\" $url/curl")" ok
is "the server got the secret" "$(cat seen)" "/curl $real"
is "python needs nothing" "$(X python3 -c "
import os, urllib.request as u
r = u.Request('$url/python', headers={'X-Key': os.environ['MY_KEY']})
print(u.urlopen(r).read().decode(), end='')")" ok
is "node neither" "$(X node -e "
fetch('$url/node', {headers: {'X-Key': process.env.MY_KEY}})
	.then(r => r.text()).then(t => process.stdout.write(t))")" ok
is "both sent it" "$(tail -2 seen)" "/python $real
/node $real"
url2=https://host.cove.internal:$h2
# shellcheck disable=SC2016
is "curl over HTTP/2" \
	"$(X sh -c "curl -sS -m 120 -H \"X-Key: \$MY_KEY\" $url2/curl")" \
	"h2 $real"
is "node over HTTP/2" "$(X node -e "
const c = require('http2').connect('$url2'), r = c.request({':path': '/n',
	'x-key': process.env.MY_KEY});
r.on('data', d => process.stdout.write(d)).on('end', () => c.close());
r.end()")" "h2 $real"
X curl -sS -m 120 -H "X-Other: cove-secret-my-key" "$url/other" >/dev/null
is "another field is not touched" "$(tail -1 seen)" "/other None"
X curl -sS -m 120 -H "X-Key: mine" "$url/own" >/dev/null
is "nor is a credential of the guest's own" "$(tail -1 seen)" "/own mine"
is "the guest holds it nowhere" "$(C exec -u root box sh -c "grep -rl \
	'${real:0:9}''${real:9}' /etc /home /root /tmp /var/log /proc/[0-9]*/environ \
	2>/dev/null | grep -v '^/proc/self'")" ""
like "the log says how" "$(C policy log box)" 'open'
printf %s "other-$real" | "$COVE" secret set-custom --sandbox box \
	--host host.cove.internal --env MY_KEY --header X-Key >/dev/null 2>&1
X curl -sS -m 120 -H "X-Key: cove-secret-my-key" "$url/own" >/dev/null
is "a sandbox's own secret wins, at once" "$(tail -1 seen)" "/own other-$real"
C secret rm --sandbox box my-key >/dev/null
X curl -sS -m 120 -H "X-Key: cove-secret-my-key" "$url/back" >/dev/null
is "removed, the one for all holds again" "$(tail -1 seen)" "/back $real"
C secret rm my-key >/dev/null
out=$(X curl -sS -m 120 -H "X-Key: cove-secret-my-key" "$url/gone")
like "without one the host is not opened any more" "$out" "certificate|SSL"
C policy rm "host:$port" >/dev/null
C policy allow "host:$port" --method GET --path '/ok/**' >/dev/null
is "a path rule inside TLS allows" "$(X curl -sS -m 120 "$url/ok/x")" ok
like "and denies in words" "$(X curl -sS -m 120 "$url/no")" \
	'no rule allows GET /no'
C stop box >/dev/null
is "after a restart" "$(X curl -sS -m 120 "$url/ok/y")" ok
plan_done

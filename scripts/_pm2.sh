# Sourced by scripts/start and scripts/stop: PM2 of our own, beside whatever else runs on this machine.

export PM2_HOME=${PM2_HOME:-$PWD/.pm2}
# PM2 would ask a server of its maker for news.
export PM2_DISCRETE_MODE=true
pm2=node_modules/.bin/pm2

# ensure_pm2: installs PM2 into node_modules, unless it is there.
ensure_pm2() {
    if [[ -x $pm2 ]]; then return; fi
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        echo "PM2 needs Node.js and npm: apt-get install nodejs npm" >&2
        exit 1
    fi
    echo "Installing PM2 into node_modules"
    npm install --no-audit --no-fund --no-package-lock --loglevel=error --fetch-retries=1 >&2 || {
        echo "npm could not install PM2; it says why above" >&2
        exit 1
    }
}

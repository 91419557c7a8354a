# Sourced by the scripts beside it: moves to the checkout and makes .venv fit pyproject.toml.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# installed EXTRAS: whether these extras, or more, were installed for this pyproject.toml.
installed() {
    local stamp have extra

    for stamp in .venv/installed-*.toml; do
        cmp -s pyproject.toml "$stamp" || continue
        have=${stamp#.venv/installed-}
        have=,${have%.toml},
        for extra in ${1//,/ }; do
            [[ $have == *",$extra,"* ]] || continue 2
        done
        return 0
    done
    return 1
}

# ensure_venv EXTRAS: installs the project with these extras, unless that was done.
ensure_venv() {
    local extras=$1 stamp=.venv/installed-$1.toml

    if ! installed "$extras"; then
        # ensurepip is what Debian leaves out of python3; without it venv fails half-way.
        if [[ ! -x .venv/bin/pip ]] && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
            echo "Python cannot make virtual environments here: apt-get install python3-venv" >&2
            exit 1
        fi
        [[ -x .venv/bin/pip ]] || python3 -m venv --clear .venv
        echo "Installing .[$extras] into .venv"
        .venv/bin/pip install --quiet --disable-pip-version-check --editable ".[$extras]"
        cp pyproject.toml "$stamp"
    fi

    PATH="$PWD/.venv/bin:$PATH"
}

# Tests, bench and demo start hundreds of processes. Where the environment forbids to keep what was
# compiled, each would compile all modules anew: a fifth of a start. Beside the packages, not among them.
export PYTHONDONTWRITEBYTECODE="" PYTHONPYCACHEPREFIX="$PWD/.venv/pycache"

// Replicas, an agent and the HTTP API under PM2: `pm2 start ecosystem.config.js`, or scripts/start.
//
// The processes find their settings, and the secret, in the environment (SCHEDULER_REDIS_URL,
// SCHEDULER_SECRET_FILE, ...); what is started, and where it listens, is said by the variables below.
// docs/deploy.md has the whole story.

const fs = require("fs");
const os = require("os");
const path = require("path");

const told = (name, otherwise) => process.env[`DEPLOY_${name}`] || otherwise;

const host = told("HOST", "127.0.0.1"); // where health, metrics and the API are served
const replicas = Number(told("REPLICAS", "2"));
const replicaPort = Number(told("REPLICA_PORT", "9101")); // of the first; the others count up
const agents = Number(told("AGENTS", "1")); // 0 or 1: one machine, one agent
const agentPort = Number(told("AGENT_PORT", "9201"));
const agentId = told("AGENT_ID", os.hostname().replace(/[^A-Za-z0-9_-]/g, "-").slice(0, 63));
const memory = Math.floor((os.totalmem() / 2 ** 20) * 0.75);
const slots = told("AGENT_SLOTS", `cpu=${os.cpus().length},mem=${memory}MiB`);
const allow = told("AGENT_ALLOW", "examples.*").split(","); // callables
const commands = told("AGENT_COMMANDS", ""); // any text: commands, too
const apis = Number(told("APIS", "1"));
const apiPort = Number(told("API_PORT", "8080"));

// Milliseconds of a setting such as 3s, 500ms or 2m.
function milliseconds(setting, otherwise) {
  const [, number, unit] = /^([0-9.]+)(ms|s|m|h)?$/.exec(process.env[setting] || "") || [];
  return number ? Number(number) * { ms: 1, s: 1e3, m: 6e4, h: 36e5 }[unit || "s"] : otherwise;
}

// A process that dies is started again at once; one that dies again and again waits longer each time, up
// to 15 s. It is never given up: Redis may be gone for hours. But what it was told does not mend itself.
const policy = {
  autorestart: true,
  exp_backoff_restart_delay: 100,
  min_uptime: 10_000,
  max_restarts: 1_000_000,
  stop_exit_codes: [2],
};

const own = path.join(__dirname, ".venv", "bin", "scheduler");
const common = {
  ...policy,
  script: told("PROGRAM", fs.existsSync(own) ? own : "scheduler"),
  interpreter: "none",
  cwd: __dirname,
  exec_mode: "fork",
  merge_logs: true,
  // To the process alone: an agent ends its kernels itself, SIGTERM first.
  treekill: false,
  vizion: false,
  pmx: false,
};

const numbers = (count) => Array.from({ length: count }, (_, index) => index);

const apps = [
  ...numbers(replicas).map((index) => ({
    ...common,
    name: `replica-${index + 1}`,
    args: ["replica", "run", "--name", `${os.hostname()}-${index + 1}`]
      .concat(["--http", `${host}:${replicaPort + index}`]),
    // It hands over within five seconds.
    kill_timeout: 10_000,
  })),
  ...numbers(agents).map(() => ({
    ...common,
    name: "agent",
    args: ["agent", "run", "--id", agentId, "--slots", slots, "--http", `${host}:${agentPort}`]
      .concat(allow.flatMap((pattern) => ["--allow", pattern]))
      .concat(commands ? ["--allow-commands"] : []),
    // Its kernels get their grace, and it two seconds beside.
    kill_timeout: milliseconds("SCHEDULER_KILL_GRACE", 3_000) + 7_000,
  })),
  ...numbers(apis).map(() => ({
    ...common,
    name: "api",
    args: ["api", "run", "--host", host, "--port", String(apiPort)],
    // Requests get five seconds.
    kill_timeout: 10_000,
  })),
];

const ports = [
  ...numbers(replicas).map((index) => [`replica-${index + 1}`, replicaPort + index]),
  ...numbers(agents).map(() => ["agent", agentPort]),
  ...numbers(apis).map(() => ["api", apiPort]),
];

module.exports = { apps, policy, health: ports.map(([name, port]) => [name, `http://${host}:${port}`]) };

-- Redis runs Lua 5.1. The loader puts a preamble, the arguments named in a script's
-- header and the included files before every script; each file is checked as if
-- it saw exactly those names.
std = "lua51"
max_line_length = 120

local GIVEN = {
   -- by Redis
   "redis",
   "cjson",
   "KEYS",
   "ARGV",
   -- by the preamble
   "ns",
   "keys",
   "args",
   "LIFECYCLE",
   "SESSION_LIFE",
   "KERNEL_LIFE",
   "FINAL", "SESSION_STATES", "WAITING",
   "STRENGTH",
   "DAY_MS", "KEPT_DAYS",
   -- by leader/place to what it includes
   "batch", "group", "rq_job",
}

-- The table every file in move/ adds itself to; lib/moves makes it.
globals = { "moves" }

local ROOT = "scheduler/store/lua/"

local function read(name)
   local file = io.open(ROOT .. name .. ".lua")
   local text = file and file:read("*a") or ""
   if file then file:close() end
   return "\n" .. text
end

-- What a file leaves to those that include it: its locals at the left margin.
local function defined(text)
   local names = {}
   for name in text:gmatch("\nlocal function ([%w_]+)") do names[#names + 1] = name end
   for name in text:gmatch("\nlocal ([%w_]+) =") do names[#names + 1] = name end
   return names
end

local function visible(name, names, seen)
   for include in read(name):gmatch("\n%-%- @include%s+(%S+)") do
      if not seen[include] then
         seen[include] = true
         visible(include, names, seen)
         for _, given in ipairs(defined(read(include))) do names[#names + 1] = given end
      end
   end
   return names
end

read_globals = GIVEN

local found = io.popen("find " .. ROOT .. " -name '*.lua'")
for path in found:lines() do
   local name = path:sub(#ROOT + 1, -5)
   local text = read(name)
   local names = visible(name, {}, {})
   for argument in text:gmatch("\n%-%- @arg%s+([%w_]+)") do names[#names + 1] = argument end
   local rules = { globals = names, ignore = {} }
   -- Unused here is used where it is included.
   if name:match("^lib/") or name:match("^move/") then
      for _, own in ipairs(defined(text)) do rules.ignore[#rules.ignore + 1] = "211/" .. own end
   end
   files[path] = rules
end
found:close()

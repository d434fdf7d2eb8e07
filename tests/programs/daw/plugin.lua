-- usage: ardour7-lua plugin.lua make SESSION_DIR NAME TEMPOS METRE
--        ardour7-lua plugin.lua play SESSION_DIR NAME SCRIPT
-- make: a session whose track Melody holds the plugin, and whose tracks Bass, Chords, Pad, Drums hold it for that role,
-- each with the witness behind it; the tracks RecBass ... are to record them. TEMPOS: QUARTER:BPM[-BPM] with spaces
-- between (two: from the one to the other by the next), METRE: such as 6/8.
-- play: SCRIPT is a list of actions, with spaces between; positions are in quarter notes: ready (wait for the file
-- `ready` in the session's folder), connect (the tracks to those that record them), arm (these, for the next take),
-- goto:Q, roll, at:Q (wait until the playhead has passed it), locate:Q (while it rolls), loop, stop, wait:SECONDS,
-- rounds:N:Q (wait for N times Q quarters at 120), set:TRACK:PARAMETER:VALUE, export:Q (from the beginning), mark:WORD
-- (makes a file of that name in the session's folder), grid:Q (tells the sample of every 24th of a quarter), save.
local what, dir, name = arg[1], arg[2], arg[3]
local TRS, NOG = ARDOUR.TransportRequestSource.TRS_UI, PBD.GroupControlDisposition.NoGroup
local ROLES = {"Melody", "Bass", "Chords", "Pad", "Drums"}
AudioEngine:set_backend("None (Dummy)", "ardour", "")

local function time_of(quarter) return Temporal.timepos_t.from_ticks(math.floor(quarter * 1920 + 0.5)) end
local function sample(quarter) return Temporal.TempoMap.read():sample_at(time_of(quarter)) end

local function add(track, uri, place)
  local plugin = ARDOUR.LuaAPI.new_plugin(Session, uri, ARDOUR.PluginType.LV2, "")
  assert(not plugin:isnil(), "Ardour does not know " .. uri)
  assert(track:add_processor_by_index(plugin, place, nil, true) == 0, "Ardour does not take " .. uri)
  return plugin
end

local function make(tempos, metre)
  local one, old = ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1), Temporal.timepos_t(0)
  assert(create_session(dir, name, 48000), "create_session")
  local map = Temporal.TempoMap.fetch_writable()
  local beats, unit = string.match(metre, "(%d+)/(%d+)")
  map:set_meter(Temporal.Meter(tonumber(beats), tonumber(unit)), old)
  for quarter, from, to in string.gmatch(tempos, "([%d.]+):([%d.]+)%-?([%d.]*)") do
    map:set_tempo(Temporal.Tempo(tonumber(from), tonumber(to) or tonumber(from), 4), time_of(tonumber(quarter)))
  end
  map:set_meter(Temporal.Meter(tonumber(beats), tonumber(unit)), old) -- again: it reckons the ramps anew
  Temporal.TempoMap.update(map)
  map = nil
  for number, role in ipairs(ROLES) do
    Session:new_midi_track(one, one, true, ARDOUR.PluginInfo(), nil, nil, 1, role, ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
    local track = Session:route_by_name(role)
    ARDOUR.LuaAPI.set_processor_param(add(track, "urn:houseband:band", 0), 2, number - 1)
    ARDOUR.LuaAPI.set_processor_param(add(track, "urn:houseband:witness", 1), 0, number - 1)
    if number > 1 then
      Session:new_midi_track(one, one, true, ARDOUR.PluginInfo(), nil, nil, 1, "Rec" .. role, ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
    end
  end
  Session:save_state("", false, false, false, false, false)
end

local function for_recorders(act)
  for number = 2, #ROLES do act(ROLES[number]) end
end

local function wait_for(file)
  while true do
    local found = io.open(dir .. "/" .. file)
    if found then found:close() return end
    sleep(0.05)
  end
end

local actions = {
  ready = function() wait_for("ready") end,
  connect = function()
    for_recorders(function(role)
      assert(AudioEngine:connect("ardour:" .. role .. "/midi_out 1", "ardour:Rec" .. role .. "/midi_in 1") == 0)
    end)
  end,
  arm = function()
    for_recorders(function(role) Session:route_by_name("Rec" .. role):to_track():rec_enable_control():set_value(1, NOG) end)
    Session:maybe_enable_record(false)
  end,
  ["goto"] = function(q) Session:request_locate(sample(q), false, ARDOUR.LocateTransportDisposition.MustStop, TRS); sleep(1) end,
  roll = function() Session:request_roll(TRS) end,
  at = function(q) while Session:transport_sample() < sample(q) do sleep(0.01) end end,
  locate = function(q) Session:request_locate(sample(q), true, ARDOUR.LocateTransportDisposition.MustRoll, TRS); sleep(0.5) end,
  loop = function() Session:request_play_loop(true, false) end,
  stop = function() Session:request_stop(false, false, TRS); sleep(1.5) end,
  wait = function(s) sleep(tonumber(s)) end,
  rounds = function(n, q) sleep(tonumber(n) * tonumber(q) * 0.5) end,
  set = function(track, parameter, value)
    assert(ARDOUR.LuaAPI.set_processor_param(Session:route_by_name(track):nth_plugin(0), tonumber(parameter), tonumber(value)))
  end,
  export = function(q)
    local export = Session:simple_export()
    export:set_folder(dir .. "/export")
    export:set_name("export")
    export:set_range(0, sample(q))
    assert(export:set_preset("df340c53-88b5-4342-a1c8-58e0704872ea"), "Ardour lacks the preset 'CD only'")
    assert(export:check_outputs(), "Ardour has nothing to export")
    local begun = ARDOUR.LuaAPI.monotonic_time()
    print("EXPORTED", export:run_export())
    print("EXPORT_SECONDS " .. (ARDOUR.LuaAPI.monotonic_time() - begun) / 1000000)
  end,
  mark = function(word) io.open(dir .. "/" .. word, "w"):close() end,
  grid = function(q) for tick = 0, q * 24 do print("GRID", tick, sample(tick / 24)) end end,
  save = function() Session:save_state("", false, false, false, false, false) end,
}

local function play(script)
  assert(load_session(dir, name), "load_session")
  ARDOUR.config():set_stop_recording_on_xrun(false)
  Session:cfg():set_auto_return(false)
  for action in string.gmatch(script, "%S+") do
    local words = {}
    for word in string.gmatch(action, "[^:]+") do words[#words + 1] = word end
    actions[words[1]](words[2], words[3], words[4])
    print("DID", action, Session:transport_sample())
    io.stdout:flush()
  end
end

if what == "make" then make(arg[4], arg[5]) else play(arg[4]) end
print("xruns", Session:get_xrun_count())
io.stdout:flush()
collectgarbage()
Session:close()

-- usage: ardour7-lua scene.lua SESSION_DIR NAME IN_PORT OUT_PORT SCRIPT
-- Rolls a session with MIDI clock on. The melody and the clock go to IN_PORT; the clock and what OUT_PORT says to
-- witness:input. SCRIPT is a list of actions, split by commas: loop (play the session's
-- loop range), at:BEAT (wait until the playhead has passed it), wait:SECONDS, locate:BEAT (while it rolls), goto:BEAT
-- (while it stands), roll, stop, tempo:BPM (as if somebody turned it: the clock of Ardour 7.3 knows the first tempo of a
-- song only).
local dir, name, inport, outport, script = arg[1], arg[2], arg[3], arg[4], arg[5]
local TRS = ARDOUR.TransportRequestSource.TRS_UI
AudioEngine:set_backend("JACK", "ardour", "")
assert(load_session(dir, name), "load_session")
if not AudioEngine:running() then error("ENGINE_HALTED") end
ARDOUR.config():set_send_midi_clock(true)
Session:cfg():set_auto_return(false)
local function con(a, b) print("connect", a, b, AudioEngine:connect(a, b)) end
con("ardour:Melody/midi_out 1", inport)
con("ardour:MIDI Clock out", inport)
con("ardour:MIDI Clock out", "witness:input")
con(outport, "witness:input")
Session:master_out():output():disconnect_all(nil) -- else latency compensation sends notes ahead of the clock
local tempo = 120
local function sample(beat) return math.floor(beat * 60 / tempo * 48000) end -- of the first tempo
for action in string.gmatch(script, "[^,]+") do
  local what, x = string.match(action, "([^:]+):?([^:]*)")
  x = tonumber(x)
  if what == "loop" then Session:request_play_loop(true, false)
  elseif what == "at" then while Session:transport_sample() < sample(x) do sleep(0.01) end
  elseif what == "wait" then sleep(x)
  elseif what == "locate" then Session:request_locate(sample(x), true, ARDOUR.LocateTransportDisposition.MustRoll, TRS); sleep(0.5)
  elseif what == "goto" then Session:request_locate(sample(x), false, ARDOUR.LocateTransportDisposition.MustStop, TRS); sleep(1.5)
  elseif what == "roll" then Session:request_roll(TRS); print("ROLLING"); io.stdout:flush()
  elseif what == "tempo" then
    local map = Temporal.TempoMap.fetch_writable()
    map:set_tempo(Temporal.Tempo(x, x, 4), Temporal.timepos_t(0))
    Temporal.TempoMap.update(map); map = nil
  elseif what == "stop" then Session:request_stop(false, false, TRS)
  end
end
print("xruns", Session:get_xrun_count())
collectgarbage()
Session:close()

-- A switch that asks onhook where each call goes. See docs/calls.md. FreeSWITCH 1.10, with mod_lua, mod_curl and mod_hash.
--
-- In the dialplan, for numbers that come from outside:
--   <action application="lua" data="freeswitch.lua"/>
-- Global variables, in vars.xml:
--   onhook_url    http://USER:PASSWORD@HOST:9080, the address of onhook and the user who asks
--   onhook_peers  9900000/1/1=sofia/gateway/first;9900000/1/2=sofia/gateway/second: where calls to a peer go

local api = freeswitch.API()
local url = api:executeString("global_getvar onhook_url")
local number = session:getVariable("destination_number")

-- For so many seconds an answer is kept, for when onhook cannot be asked. An older one may send calls to whom the number
-- was taken from.
local KEPT = 86400

local function log(level, text)
    freeswitch.consoleLog(level, "onhook: " .. text .. "\n")
end

-- Returns where calls to a peer of an account go, or nil.
local function gateway(place)
    for peer, to in api:executeString("global_getvar onhook_peers"):gmatch("([^=;]+)=([^;]+)") do
        if peer == place then return to end
    end
end

-- Returns the answer for the number, or nil and the cause with which the call ends.
local function ask()
    -- Only digits, dashes and a plus go on into the address that is asked.
    if not (number and number:match("^%+?[%d-]+$")) then return nil, "INVALID_NUMBER_FORMAT" end
    session:execute("curl", url .. "/ops/v1/calls/" .. number .. " connect-timeout 1 timeout 2 get")
    local code = tonumber(session:getVariable("curl_response_code")) or 0
    if code == 200 then
        local answer = session:getVariable("curl_response_data")
        -- What was said last is kept (mod_hash), with the instant. Of a number that is not known, nothing is.
        if answer:match('"state":"') then
            api:executeString("hash insert/onhook/" .. number .. "/" .. os.time() .. " " .. answer)
        else
            api:executeString("hash delete/onhook/" .. number)
        end
        return answer
    end
    if code == 400 then
        log("ERR", number .. " is no number: asking again would not help")
        return nil, "UNALLOCATED_NUMBER"
    end
    -- Every other status says nothing of the number: a wrong password (401), too many questions (429), a restart (503).
    local at, last = (api:executeString("hash select/onhook/" .. number) or ""):match("^(%d+) ({.*)$")
    if at and os.time() - tonumber(at) <= KEPT then
        log("WARNING", "no answer (" .. code .. "): " .. number .. " goes where it went last")
        return last
    end
    if at then api:executeString("hash delete/onhook/" .. number) end
    log("ERR", "no answer (" .. code .. "), and nothing is known of " .. number)
    return nil, "NORMAL_TEMPORARY_FAILURE"
end

local answer, cause = ask()
if not answer then
    session:hangup(cause)
    return
end
if answer:match('"treatment":"deliver"') then
    local deliver = answer:match('"deliver":(%b{})')
    local place = deliver:match('"account":"(%d+)"') .. "/" .. deliver:match('"site":"([^"]+)"') .. "/"
        .. (deliver:match('"peer":"([^"]+)"') or "")
    local to = gateway(place)
    if to then
        session:execute("bridge", to .. "/" .. number)
    else
        log("ERR", "no gateway for " .. place .. ", to which " .. number .. " belongs")
        session:hangup("NO_ROUTE_DESTINATION")
    end
else
    -- FreeSWITCH takes Q.850's number for a cause, and answers with the SIP status that belongs to it: 404 or 410.
    session:hangup(answer:match('"q850_cause":(%d+)'))
end

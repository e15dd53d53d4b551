-- Stands in for FreeSWITCH: what its Lua gives a script, with curl for mod_curl. It prints how the call ends.
-- Arguments: the script, the number that is called, the address of onhook, what is kept of the number already.
local script, number, url, kept = table.unpack(arg)
local globals = { onhook_url = url, onhook_peers = "9900000/1/2=sofia/gateway/second;9900000/1/1=sofia/gateway/first" }
local variables = { destination_number = number }

freeswitch = {
    API = function()
        return {
            executeString = function(_, command)
                local name = command:match("^global_getvar (.+)$")
                if name then return globals[name] end
                if command:match("^hash select/") then return kept or "" end
                if command:match("^hash delete/onhook/[^/]+$") then kept = nil return "+OK" end
                local value = command:match("^hash insert/onhook/[^/]+/(.+)$")
                assert(value, "no such command: " .. command)
                kept = value
                io.stderr:write("kept " .. value .. "\n")
                return "+OK"
            end,
        }
    end,
    consoleLog = function(level, text) io.stderr:write(level .. " " .. text) end,
}
session = {
    getVariable = function(_, name) return variables[name] end,
    execute = function(_, application, data)
        if application ~= "curl" then return print(application .. " " .. data) end
        local to = data:match("^(%S+) connect%-timeout 1 timeout 2 get$")
        assert(to, "not the form that mod_curl reads: " .. data)
        local curl = io.popen("curl --silent --max-time 2 --write-out '\n%{http_code}' '" .. to .. "'")
        variables.curl_response_data, variables.curl_response_code = curl:read("a"):match("^(.*)\n(%d+)$")
        curl:close()
    end,
    hangup = function(_, cause) print("hangup " .. cause) end,
}
dofile(script)

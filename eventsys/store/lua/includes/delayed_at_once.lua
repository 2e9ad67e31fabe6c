--[[
delayed_at_once: how many steps that are kept for later one call may bring; too low a guess costs a command for each.
]]
local delayed_at_once = 1

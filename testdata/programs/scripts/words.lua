-- Counts the words of the text on standard input. Argument: the least count that is shown.
local least, words, counts = tonumber(arg[1] or 1), {}, {}
for word in io.read("*a"):lower():gmatch("%a+") do
  if not counts[word] then words[#words + 1] = word end
  counts[word] = (counts[word] or 0) + 1
end
if #words == 0 then error("there are no words") end
table.sort(words, function(a, b)
  if counts[a] ~= counts[b] then return counts[a] > counts[b] end
  return a < b
end)
for _, word in ipairs(words) do
  if counts[word] >= least then print(counts[word] .. " " .. word) end
end

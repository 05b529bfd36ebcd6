
Å


service.name
shope

p
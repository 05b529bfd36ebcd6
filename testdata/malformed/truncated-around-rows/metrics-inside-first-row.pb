
Å


service.name
shope

probe
b

j


service.name
shopN

p
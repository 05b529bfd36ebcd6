
÷


service.name
sh

÷


service.name
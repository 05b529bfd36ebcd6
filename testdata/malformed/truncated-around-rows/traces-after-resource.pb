
÷


service.name
shop
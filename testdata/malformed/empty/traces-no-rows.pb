
%


service.name
shop	

probe